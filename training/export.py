"""A run's best network as one self-contained ONNX file, with its NetworkSpec inside."""

import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor

from datasets.sample import Sample
from datasets.split import read_split
from datasets.store import open_store
from model.network.hipnet import HipNet
from model.network.pair import Pair
from model.network.served import ServedNetwork
from model.reading import Reader
from model.runtime import Session
from model.spec import INPUT_NAME, METADATA_KEY, OUTPUT_NAMES, NetworkSpec
from model.steps import CAREFUL
from training.abstain import OPEN, fit_thresholds
from training.calibrate import fit_capsule_spread, fit_centroid_spread, fit_gsus_of_two, fit_temperatures
from training.evaluation.score import score_frame
from training.feed import load_examples
from training.half import keep_in_half
from training.networks import BESIDE, OURS
from training.quantise import FRAMES, quantise
from training.recipe import Recipe
from training.run_folder import BEST, SPLIT, Sources, load_run, read_recipe

OPSET: Final = 18
_FIRST: Final = "1"
"""Version of a network that nobody numbered."""
_TOLERANCE: Final = 2e-3
_LABELS_ALIKE: Final = 0.999


class ParityError(ValueError):
    """The exported graph does not say what the network says."""


def export(run: Path, out: Path, beside: Path | None = None, *, half: bool = False, name: str = "") -> None:
    """Calibrates the run's best network, exports it, checks torch against onnxruntime, and writes the file.

    The file calls itself `name`, NAME or NAME:VERSION; without it as the run's folder does. With another run `beside`
    it the file says the mean of both networks, calibrated on the first one's split. `half` keeps the weights in half
    precision: half the size, the same computing. Raises ValueError where a run is unfinished, its data set is gone, its
    network a peer's, or the two do not fit together, ParityError where the graphs differ.
    """
    recipe, network = _ours(run)
    both: HipNet | Pair = network if beside is None else Pair(_fitting(beside, run, recipe), network)
    store = open_store(Sources.of(run).data)
    split = read_split(run / SPLIT, store)
    temperatures = fit_temperatures(both, load_examples(store, split.calibration, recipe.input_px))
    runs = [run] if beside is None else [beside, run]
    called, _, version = (name or "-".join(one.resolve().name for one in runs)).partition(":")
    spec = replace(
        _plain_spec(recipe, "; and the other network: ".join(map(_learnt_from, runs))),
        name=called,
        version=version or _FIRST,
        temperatures=temperatures,
        network=BESIDE.join(read_recipe(one).network for one in runs),
    )
    with _without_thresholds(both, spec) as session:
        reader = Reader(session)
        scores = tuple(score_frame(i, store.sample(i), reader) for i in split.calibration)
        grades = _grades_of_two(session, (store.sample(i) for i in split.calibration))
    centroid_spread = fit_centroid_spread(scores)
    spec = replace(
        spec,
        thresholds=fit_thresholds(scores),
        centroid_spread=spec.centroid_spread if centroid_spread is None else round(centroid_spread, 3),
        capsule_spread=fit_capsule_spread(scores),
        gsus_of_two=round(fit_gsus_of_two(*grades), 3),
    )
    write_network(both, spec, out)
    if half:
        keep_in_half(out)
    sys.stderr.write(f"{out}: {out.stat().st_size / 1e6:.2f} MB, {temperatures}, of two looks {spec.gsus_of_two}, ")
    sys.stderr.write(f"{spec.thresholds}, centroid spread {spec.centroid_spread}, {spec.capsule_spread}\n")


def _ours(run: Path) -> tuple[Recipe, HipNet]:
    recipe, network = load_run(run)
    if not isinstance(network, HipNet):
        raise ValueError(f"{run} trained {recipe.network}, which locates structures only: it cannot be served")
    return recipe, network


def _fitting(beside: Path, run: Path, recipe: Recipe) -> HipNet:
    """The other run's network, of the same input and without a look at what calibrates."""
    other, network = _ours(beside)
    if other.input_px != recipe.input_px:
        raise ValueError(f"{beside} sees {other.input_px} pixels and {run} {recipe.input_px}: they see one picture")
    here, there = ((Sources.of(one).data, (one / SPLIT).read_bytes()) for one in (beside, run))
    if here[0] == there[0] and here[1] != there[1]:
        raise ValueError(f"{beside} learnt from frames that {run} is calibrated on: split their data alike")
    return network


def _learnt_from(run: Path) -> str:
    """What a run learnt from. Each set once, though it may be mixed in several times."""
    sources = Sources.of(run)
    store = open_store(sources.data)
    parts = [(len(read_split(run / SPLIT, store).train), store), *((len(s), s) for s in map(open_store, sources.extra))]
    taught = [f"the answers of {len(sources.teachers)} networks to these"] if sources.teachers else []
    return "; ".join(dict.fromkeys([*(f"{count} frames: {store.provenance}" for count, store in parts), *taught]))


@contextmanager
def _without_thresholds(network: HipNet | Pair, spec: NetworkSpec) -> Iterator[Session]:
    """The network as it will be served, but that it withholds nothing."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "open.onnx"
        write_network(network, replace(spec, thresholds=OPEN, centroid_spread=1.0), path)
        yield Session(path)


def _grades_of_two(session: Session, samples: Iterable[Sample]) -> tuple[Tensor, Tensor]:
    """Probabilities (N, 4) and true grades (N,) of the graded hips at which it looked twice."""
    reader = Reader(session, looks=CAREFUL)
    graded = [(reader.read(one.frame), one.truth.gsus) for one in samples if one.truth.gsus is not None]
    told = [(one.solar.gsus.probabilities, grade) for one, grade in graded if one.looks == CAREFUL]
    known = [(probabilities, grade) for probabilities, grade in told if probabilities]
    return torch.tensor([p for p, _ in known]).reshape(-1, 4), torch.tensor([grade for _, grade in known])


def export_int8(run: Path, out: Path) -> None:
    """The same network in INT8, its ranges taken from frames of the run's calibration split."""
    store = open_store(Sources.of(run).data)
    rows = read_split(run / SPLIT, store).calibration[:FRAMES]
    examples = load_examples(store, rows, read_recipe(run).input_px)
    quantise(exported(run), (example.picture for example in examples), out)
    sys.stderr.write(f"{out}: {out.stat().st_size / 1e6:.2f} MB\n")


def exported(run: Path) -> Path:
    """The ONNX file of a run's best network, exported where it is missing or older than the network."""
    out = run / "network.onnx"
    if not out.exists() or out.stat().st_mtime < (run / BEST).stat().st_mtime:
        export(run, out)
    return out


def write_network(network: HipNet | Pair, spec: NetworkSpec, out: Path) -> None:
    """One ONNX file of a network with its spec. Raises ParityError where onnxruntime says otherwise than torch."""
    served = ServedNetwork(network, spec.temperatures).eval()
    example = torch.zeros(2, spec.input_height, spec.input_width, dtype=torch.uint8)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        partial = Path(folder) / "network.onnx"
        torch.onnx.export(
            served,
            (example,),
            str(partial),
            input_names=[INPUT_NAME],
            output_names=list(OUTPUT_NAMES),
            dynamic_axes={name: {0: "n"} for name in (INPUT_NAME, *OUTPUT_NAMES)},
            opset_version=OPSET,
            dynamo=False,
        )
        graph = _folded(partial)
        onnx.helper.set_model_props(graph, {METADATA_KEY: spec.to_json()})
        onnx.checker.check_model(graph)
        onnx.save(graph, str(partial))
        check_parity(served, partial, spec)
        partial.replace(out)


def _folded(path: Path) -> onnx.ModelProto:
    """The graph with what is constant computed, in standard operators: OpenVINO refuses shapes computed at run time."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path.with_suffix(".folded.onnx"))
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    graph = onnx.load(options.optimized_model_filepath)
    used = [one for one in graph.opset_import if one.domain in {node.domain for node in graph.graph.node}]
    del graph.opset_import[:]
    graph.opset_import.extend(used)
    return graph


def check_parity(served: ServedNetwork, path: Path, spec: NetworkSpec) -> None:
    """Raises ParityError unless file and network agree on pictures of noise and of shapes."""
    frames = _pictures(spec)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    told = session.run(list(OUTPUT_NAMES), {INPUT_NAME: frames})
    with torch.no_grad():
        expected = [output.numpy() for output in served(torch.from_numpy(frames))]
    alike = float((told[0] == expected[0]).mean())
    if alike < _LABELS_ALIKE:
        raise ParityError(f"labels agree on {alike:.4f} of the pixels, expected {_LABELS_ALIKE}")
    for name, here, there in zip(OUTPUT_NAMES[1:], told[1:], expected[1:], strict=True):
        if not np.isfinite(here).all():
            raise ParityError(f"{name} is no number on some pictures: a weight of the network is none, or too large")
        scale = max(1.0, float(np.abs(there).max()))
        difference = float(np.abs(here - there).max()) / scale
        if difference > _TOLERANCE:
            raise ParityError(f"{name} differs by {difference:.2g} of its size between torch and onnxruntime")


def _pictures(spec: NetworkSpec) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    rng = np.random.default_rng(0)
    shape = (4, spec.input_height, spec.input_width)
    coarse = rng.integers(0, 256, (4, 8, 8)).repeat(shape[1] // 8 + 1, axis=1).repeat(shape[2] // 8 + 1, axis=2)
    return np.asarray(0.6 * coarse[:, : shape[1], : shape[2]] + rng.integers(0, 100, shape), np.uint8)


def untrained(recipe: Recipe) -> tuple[HipNet, NetworkSpec]:
    """A network of random weights with its spec: for tests and for measuring speed."""
    torch.manual_seed(recipe.seed)
    return OURS[recipe.network](False).eval(), _plain_spec(recipe, "nothing")


def _plain_spec(recipe: Recipe, trained_on: str) -> NetworkSpec:
    size = recipe.input_px
    return NetworkSpec(recipe.name, recipe.version, trained_on, size, size, network=recipe.network)
