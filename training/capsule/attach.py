"""A trained EdgeNet into the file of the network that it follows: checked, calibrated with it, in its metadata."""

import base64
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

from datasets.sample import Sample
from datasets.split import read_split
from datasets.store import Store, open_store
from datasets.whole import write_whole
from model.measure import measured
from model.network.edges import EdgeNet, ServedEdges
from model.reading import Reader
from model.runtime import Session
from model.spec import METADATA_KEY, STRIP_INPUT, STRIP_KEY, STRIP_OUTPUT, CapsuleSpread, NetworkSpec, StripSpec
from model.steps import CAREFUL
from model.strip import COLUMNS, ROWS
from training.calibrate import fit_spread
from training.capsule.learn import load_edges
from training.capsule.strips import places
from training.export import OPSET, ParityError
from training.half import keep_in_half
from training.run_folder import SPLIT, Sources

_TOLERANCE_ROWS: Final = 0.1
_AS_DOUBTED: Final = CapsuleSpread(1.0, 1.0, 1e6)
"""Tells a doubt as its exponential, so that the doubt can be had back from a reading."""


def attach(model: Path, run: Path, out: Path, name: str = "") -> None:
    """Writes the model's file once more with the run's best network in it, in half precision, its distances' SD fitted
    on the run's calibration split as this model reads it. The file calls itself `name`, NAME or NAME:VERSION; without
    it as the model does.

    Raises ValueError where the run is unfinished or its data set is gone, SpecError where the model cannot be served,
    ParityError where torch and onnxruntime differ.
    """
    sources = Sources.of(run)
    store = open_store(sources.data)
    rows = [place.row for place in places(store, read_split(run / SPLIT, store).calibration)]
    strip = StripSpec(_learnt_from(run, sources, store), _AS_DOUBTED)
    with tempfile.TemporaryDirectory() as folder:
        second = Path(folder) / "edges.onnx"
        write_edges(load_edges(run), second)
        doubting = Path(folder) / "doubting.onnx"
        _join(model, second, replace(_spec_of(model, name), strip=strip), doubting)
        spread = _fit(Session(doubting), [store.sample(row) for row in rows])
        _join(model, second, replace(_spec_of(model, name), strip=replace(strip, spread=spread)), out)
    sys.stderr.write(f"{out}: {out.stat().st_size / 1e6:.2f} MB, {spread}, of {len(rows)} calibration frames\n")


def write_edges(network: EdgeNet, out: Path) -> None:
    """One ONNX file of an EdgeNet. Raises ParityError where onnxruntime says otherwise than torch."""
    served = ServedEdges(network).eval()
    torch.onnx.export(
        served,
        (torch.zeros(2, ROWS, COLUMNS, dtype=torch.uint8),),
        str(out),
        input_names=[STRIP_INPUT],
        output_names=[STRIP_OUTPUT],
        dynamic_axes={STRIP_INPUT: {0: "n"}, STRIP_OUTPUT: {0: "n"}},
        opset_version=OPSET,
        dynamo=False,
    )
    keep_in_half(out)
    pictures = np.random.default_rng(0).integers(0, 256, (4, ROWS, COLUMNS)).astype(np.uint8)
    told = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"]).run(
        None, {STRIP_INPUT: pictures}
    )[0]
    with torch.no_grad():
        off = float(np.abs(told - served(torch.from_numpy(pictures)).numpy()).max())
    if not off < _TOLERANCE_ROWS:
        raise ParityError(f"edges differ by {off:.2g} rows between torch and onnxruntime")


def _spec_of(model: Path, name: str) -> NetworkSpec:
    spec = Session(model).spec
    called, _, version = name.partition(":")
    return replace(spec, name=called or spec.name, version=version or spec.version)


def _join(model: Path, second: Path, spec: NetworkSpec, out: Path) -> None:
    """The model's file with another network, and a word on it, in its metadata."""
    graph = onnx.load(model)
    held = base64.b64encode(second.read_bytes()).decode()
    onnx.helper.set_model_props(graph, {METADATA_KEY: spec.to_json(), STRIP_KEY: held})
    write_whole(out, graph.SerializeToString())


def _fit(session: Session, samples: list[Sample]) -> CapsuleSpread | None:
    reader = Reader(session, looks=CAREFUL)
    told: list[tuple[float, float]] = []
    for sample in samples:
        distance, truth = measured(reader.read(sample.frame).measurements, "capsule_distance"), sample.truth
        if distance and distance.value and distance.spread and truth.capsule_distance_mm is not None:
            told.append((abs(distance.value - truth.capsule_distance_mm), float(np.log(distance.spread))))
    pairs: NDArray[np.float64] = np.array(told).reshape(-1, 2)
    return fit_spread(pairs)


def _learnt_from(run: Path, sources: Sources, store: Store) -> str:
    seen = [(store, read_split(run / SPLIT, store).train)]
    seen += [(extra, tuple(range(len(extra)))) for extra in map(open_store, sources.extra)]
    return "; ".join(f"{len(places(held, rows))} hips: {held.provenance}" for held, rows in seen)
