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

from datasets.split import read_split
from datasets.store import Store, open_store
from datasets.whole import write_whole
from model.network.edges import EdgeNet, ServedEdges
from model.runtime import Session
from model.spec import METADATA_KEY, STRIP_INPUT, STRIP_KEY, STRIP_OUTPUTS, NetworkSpec, StripSpec
from model.strip import COLUMNS, ROWS
from training.capsule.calibrate import fitted
from training.capsule.learn import load_edges
from training.capsule.strips import places
from training.export import OPSET, ParityError
from training.half import keep_in_half
from training.run_folder import SPLIT, Sources

_TOLERANCES: Final = (0.1, 0.01)
"""Rows, and probabilities, by which weights in half precision may differ."""


def attach(model: Path, run: Path, out: Path, name: str = "") -> None:
    """Writes the model's file once more with the run's best network in it, in half precision, calibrated on the run's
    calibration split as this model reads it. The file calls itself `name`, NAME or NAME:VERSION; without
    it as the model does.

    Raises ValueError where the run is unfinished or its data set is gone, SpecError where the model cannot be served,
    ParityError where torch and onnxruntime differ.
    """
    sources = Sources.of(run)
    store = open_store(sources.data)
    rows = [place.row for place in places(store, read_split(run / SPLIT, store).calibration)]
    spec, learnt_from = _spec_of(model, name), _learnt_from(run, sources, store)
    with tempfile.TemporaryDirectory() as folder:
        second = Path(folder) / "strips.onnx"
        write_edges(load_edges(run), second)

        def joined(strip: StripSpec, path: Path = Path(folder) / "open.onnx") -> Session:
            _join(model, second, replace(spec, strip=strip), path)
            return Session(path)

        strip = fitted(joined, StripSpec(learnt_from), [store.sample(row) for row in rows])
        joined(strip, out)
    sys.stderr.write(f"{out}: {out.stat().st_size / 1e6:.2f} MB, {strip}, of {len(rows)} calibration frames\n")


def write_edges(network: EdgeNet, out: Path) -> None:
    """One ONNX file of an EdgeNet. Raises ParityError where onnxruntime says otherwise than torch."""
    served = ServedEdges(network).eval()
    torch.onnx.export(
        served,
        (torch.zeros(2, ROWS, COLUMNS, dtype=torch.uint8),),
        str(out),
        input_names=[STRIP_INPUT],
        output_names=list(STRIP_OUTPUTS),
        dynamic_axes={name: {0: "n"} for name in (STRIP_INPUT, *STRIP_OUTPUTS)},
        opset_version=OPSET,
        dynamo=False,
    )
    keep_in_half(out)
    pictures = np.random.default_rng(0).integers(0, 256, (4, ROWS, COLUMNS)).astype(np.uint8)
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = served(torch.from_numpy(pictures))
    for name, there, tolerance in zip(STRIP_OUTPUTS, expected, _TOLERANCES, strict=True):
        (here,) = session.run([name], {STRIP_INPUT: pictures})
        off = float(np.abs(here - there.numpy()).max())
        if not off < tolerance:
            raise ParityError(f"{name} differs by {off:.2g} between torch and onnxruntime, more than {tolerance}")


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


def _learnt_from(run: Path, sources: Sources, store: Store) -> str:
    seen = [(store, read_split(run / SPLIT, store).train)]
    seen += [(extra, tuple(range(len(extra)))) for extra in map(open_store, sources.extra)]
    return "; ".join(f"{len(places(held, rows))} hips: {held.provenance}" for held, rows in seen)
