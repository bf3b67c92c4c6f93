"""Session: the one place that runs a network, and the only import of onnxruntime."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from model.spec import INPUT_NAME, METADATA_KEY, OUTPUT_NAMES, NetworkSpec, SpecError

STARTER: Final = Path(__file__).parent / "weights" / "starter.onnx"


class Provider(StrEnum):
    """What runs the network: the processor, or what an onnxruntime build of that kind brings."""

    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"
    OPENVINO = "openvino"
    DIRECTML = "directml"


_EXECUTION: Final[Mapping[Provider, tuple[str, ...]]] = {
    Provider.CPU: (),
    Provider.CUDA: ("CUDAExecutionProvider",),
    Provider.TENSORRT: ("TensorrtExecutionProvider", "CUDAExecutionProvider"),
    Provider.OPENVINO: ("OpenVINOExecutionProvider",),
    Provider.DIRECTML: ("DmlExecutionProvider",),
}
"""onnxruntime's names; the processor takes what none before it can run."""


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """What the network says of one input, in network pixels; shapes and meanings as in model.spec."""

    labels: NDArray[np.uint8]
    structures: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    view: NDArray[np.float32]
    gsus: NDArray[np.float32]


class Session:
    """A loaded network. `run` may be called from several threads at once.

    One frame is read soonest by all `threads` (all cores without it); several at once are read fastest by one thread
    each, since threads that wait for one another keep their cores busy. Who runs several, and says so by `several`,
    gets both: `crowded`, which may be set at any time, chooses between them.

    Raises FileNotFoundError where the file is missing, SpecError where it is not a network of this version, ValueError
    where this onnxruntime lacks the provider.
    """

    def __init__(
        self, path: Path = STARTER, threads: int | None = None, provider: Provider = Provider.CPU, several: bool = False
    ) -> None:
        if not path.is_file():
            raise FileNotFoundError(f"no model at {path}: give --model FILE, or export one with `hipsono export`")
        content = path.read_bytes()
        self.path = path
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.crowded = False
        threads = threads or os.cpu_count() or 1
        self._alone = _open(path, content, threads, _execution(provider))
        divided = several and threads > 1 and provider is Provider.CPU
        self._beside = _open(path, content, 1, _execution(provider)) if divided else self._alone
        self.spec = _spec_of(path, self._alone)
        self._warm_up()

    def run(self, picture: NDArray[np.uint8]) -> Maps:
        """One letterboxed input (H, W) uint8 through the network."""
        expected = (self.spec.input_height, self.spec.input_width)
        if picture.shape != expected or picture.dtype != np.uint8:
            raise ValueError(f"input is uint8 {expected}, got {picture.dtype} {picture.shape}")
        session = self._beside if self.crowded else self._alone
        outputs = session.run(OUTPUT_NAMES, {INPUT_NAME: picture[None]})
        return Maps(*(output[0] for output in outputs))

    def _warm_up(self) -> None:
        empty = np.zeros((1, self.spec.input_height, self.spec.input_width), np.uint8)
        for session in (self._beside, self._alone):
            session.run(OUTPUT_NAMES, {INPUT_NAME: empty})


def available() -> tuple[Provider, ...]:
    """The providers that this onnxruntime brings."""
    there = onnxruntime.get_available_providers()
    return tuple(provider for provider, names in _EXECUTION.items() if not names or names[0] in there)


def _execution(provider: Provider) -> tuple[str, ...]:
    wanted, there = _EXECUTION[provider], onnxruntime.get_available_providers()
    if wanted and wanted[0] not in there:
        raise ValueError(f"this onnxruntime has no {wanted[0]}, only {', '.join(there)}: install a build that has it")
    return (*(name for name in wanted if name in there), "CPUExecutionProvider")


def _open(path: Path, content: bytes, threads: int, providers: tuple[str, ...]) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(content, options, providers=list(providers))
    except Exception as error:
        raise SpecError(f"{path.name} is not an ONNX network that can be run here: {error}") from error


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
