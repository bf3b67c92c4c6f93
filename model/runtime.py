"""Session: the one place that runs a network, and the only import of onnxruntime."""

import base64
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from model.spec import (
    INPUT_NAME,
    METADATA_KEY,
    OUTPUT_NAMES,
    STRIP_INPUT,
    STRIP_KEY,
    STRIP_OUTPUTS,
    NetworkSpec,
    SpecError,
)

STARTER: Final = Path(__file__).parent / "weights" / "starter.onnx"


class Provider(StrEnum):
    """What runs the network: the processor, or what an onnxruntime build of that kind brings."""

    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"
    OPENVINO = "openvino"
    DIRECTML = "directml"


_NAMES: Final[Mapping[Provider, tuple[str, ...]]] = {
    Provider.CPU: (),
    Provider.CUDA: ("CUDAExecutionProvider",),
    Provider.TENSORRT: ("TensorrtExecutionProvider", "CUDAExecutionProvider"),
    Provider.OPENVINO: ("OpenVINOExecutionProvider",),
    Provider.DIRECTML: ("DmlExecutionProvider",),
}
"""onnxruntime's names; the processor takes what none before it can run."""


@dataclass(frozen=True, slots=True)
class Execution:
    """What runs the network. With TensorRT only: in half precision or not, and the folder that keeps what it built of
    the network, without which every start builds it again for minutes.
    """

    provider: Provider = Provider.CPU
    tensorrt_half: bool = False
    tensorrt_engines: Path | None = None


_ON_PROCESSOR: Final = Execution()


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """What the network says of one input, in network pixels; shapes and meanings as in model.spec."""

    labels: NDArray[np.uint8]
    structures: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    view: NDArray[np.float32]
    gsus: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Along:
    """What the second network says of one strip: `edges` (2, 2, COLUMNS) and `gsus` (4,) as in model.spec."""

    edges: NDArray[np.float32]
    gsus: NDArray[np.float32]


class Session:
    """A loaded network. `run` may be called from several threads at once.

    One frame is read soonest by all `threads` (all cores without it); several at once are read fastest by one thread
    each, since threads that wait for one another keep their cores busy. Who runs several, and says so by `several`,
    gets both: `crowded`, which may be set at any time, chooses between them.

    Raises FileNotFoundError where the file is missing, SpecError where it is not a network of this version, ValueError
    where the provider is not to be had here: another never takes its place unasked.
    """

    def __init__(
        self,
        path: Path = STARTER,
        threads: int | None = None,
        execution: Execution = _ON_PROCESSOR,
        several: bool = False,
    ) -> None:
        if not path.is_file():
            raise FileNotFoundError(f"no model at {path}: give --model FILE, or export one with `hipsono export`")
        content = path.read_bytes()
        self.path = path
        self.provider = execution.provider
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.crowded = False
        way = _Way(threads or os.cpu_count() or 1, execution, several)
        self._whole = _Network(path.name, content, way)
        self.spec = _spec_of(path, self._whole.alone)
        self._strips = None if self.spec.strip is None else _Network(path.name, self._second(), way)
        self._warm_up()

    def run(self, picture: NDArray[np.uint8]) -> Maps:
        """One letterboxed input (H, W) uint8 through the network."""
        expected = (self.spec.input_height, self.spec.input_width)
        if picture.shape != expected or picture.dtype != np.uint8:
            raise ValueError(f"input is uint8 {expected}, got {picture.dtype} {picture.shape}")
        outputs = self._whole.chosen(self.crowded).run(OUTPUT_NAMES, {INPUT_NAME: picture[None]})
        return Maps(*(output[0] for output in outputs))

    def run_along(self, strip: NDArray[np.uint8]) -> Along:
        """A strip along the neck (model.strip) through the second network.

        Raises ValueError where the file holds none: `spec.strip` tells.
        """
        if self._strips is None:
            raise ValueError(f"{self.path.name} holds no network for strips: add one with `hipsono capsule attach`")
        outputs = self._strips.chosen(self.crowded).run(STRIP_OUTPUTS, {STRIP_INPUT: strip[None]})
        return Along(*(output[0] for output in outputs))

    def _second(self) -> bytes:
        """The second network's file, out of the first one's metadata."""
        held = self._whole.alone.get_modelmeta().custom_metadata_map.get(STRIP_KEY)
        if held is None:
            raise SpecError(f"{self.path.name} lacks the network for strips that its spec tells of: export it again")
        try:
            return base64.b64decode(held, validate=True)
        except ValueError as error:
            raise SpecError(
                f"{self.path.name}: its network for strips is no base64 ({error}): export it again"
            ) from error

    def _warm_up(self) -> None:
        empty = np.zeros((1, self.spec.input_height, self.spec.input_width), np.uint8)
        for session in self._whole.both:
            session.run(OUTPUT_NAMES, {INPUT_NAME: empty})


@dataclass(frozen=True, slots=True)
class _Way:
    """How networks are run: by so many threads, on what, and whether several frames may come at once."""

    threads: int
    execution: Execution
    several: bool


class _Network:
    """One graph, opened for a frame alone and, where that is faster, for one of several at once."""

    def __init__(self, name: str, content: bytes, way: _Way) -> None:
        divided = way.several and way.threads > 1 and way.execution.provider is Provider.CPU
        self.alone = _open(name, content, way.threads, way.execution)
        self._beside = _open(name, content, 1, way.execution) if divided else self.alone

    @property
    def both(self) -> tuple[onnxruntime.InferenceSession, onnxruntime.InferenceSession]:
        return self._beside, self.alone

    def chosen(self, crowded: bool) -> onnxruntime.InferenceSession:
        return self._beside if crowded else self.alone


def available() -> tuple[Provider, ...]:
    """The providers that this onnxruntime was built with; whether one runs, a Session tells."""
    there = onnxruntime.get_available_providers()
    return tuple(provider for provider, names in _NAMES.items() if not names or names[0] in there)


def _open(name: str, content: bytes, threads: int, execution: Execution) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    providers = _providers(execution, threads)
    try:
        session = onnxruntime.InferenceSession(content, options, providers=providers, enable_fallback=0)
    except Exception as error:
        if execution.provider is not Provider.CPU:
            raise ValueError(_lost(execution.provider, str(error))) from error
        raise SpecError(f"{name} is not an ONNX network that can be run here: {error}") from error
    _check_first(session.get_providers(), execution.provider)
    return session


def _providers(execution: Execution, threads: int) -> list[tuple[str, dict[str, str]]]:
    """onnxruntime's names with their options, the processor last."""
    wanted, there = _NAMES[execution.provider], onnxruntime.get_available_providers()
    if wanted and wanted[0] not in there:
        raise ValueError(_lost(execution.provider, f"this onnxruntime has only {', '.join(there)}"))
    options: dict[str, dict[str, str]] = {}
    if execution.provider is Provider.TENSORRT:
        options[wanted[0]] = _tensorrt_options(execution)
    if execution.provider is Provider.OPENVINO:
        options[wanted[0]] = {"num_of_threads": str(threads)}
    return [(name, options.get(name, {})) for name in (*wanted, "CPUExecutionProvider") if name in there]


def _tensorrt_options(execution: Execution) -> dict[str, str]:
    told = {"trt_fp16_enable": "1"} if execution.tensorrt_half else {}
    if execution.tensorrt_engines is None:
        return told
    execution.tensorrt_engines.mkdir(parents=True, exist_ok=True)
    folder = str(execution.tensorrt_engines)
    cached = {"trt_engine_cache_enable": "1", "trt_engine_cache_path": folder, "trt_timing_cache_enable": "1"}
    return told | cached | {"trt_timing_cache_path": folder}


def _check_first(used: Sequence[str], provider: Provider) -> None:
    """onnxruntime leaves out a provider whose libraries or device it lacks, and goes on: this does not."""
    wanted = (*_NAMES[provider], "CPUExecutionProvider")[0]
    if used[0] != wanted:
        raise ValueError(_lost(provider, f"onnxruntime left it out and would use {', '.join(used)}"))


def _lost(provider: Provider, why: str) -> str:
    return (
        f"{provider} cannot run the network here: {why}. Install the onnxruntime build, driver and libraries that it "
        "needs (docs/benchmarks.md), or choose another provider"
    )


def _spec_of(path: Path, session: onnxruntime.InferenceSession) -> NetworkSpec:
    metadata = session.get_modelmeta().custom_metadata_map
    if METADATA_KEY not in metadata:
        raise SpecError(f"{path.name} carries no {METADATA_KEY!r} metadata: it was not made by `hipsono export`")
    spec = NetworkSpec.from_json(metadata[METADATA_KEY])
    inputs = [(i.name, i.type) for i in session.get_inputs()]
    outputs = tuple(o.name for o in session.get_outputs())
    if inputs != [(INPUT_NAME, "tensor(uint8)")] or set(outputs) != set(OUTPUT_NAMES):
        raise SpecError(
            f"{path.name} takes {inputs} and gives {outputs}, expected uint8 {INPUT_NAME!r} and {OUTPUT_NAMES}: "
            "export it again with this version"
        )
    return spec
