"""A run as one self-contained file."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from datasets.phantom.generate import phantoms
from datasets.store import open_store
from model.network.served import ServedNetwork
from model.reading import Reader
from model.runtime import STARTER, Session
from model.spec import METADATA_KEY, SpecError, Temperatures
from model.strip import COLUMNS, ROWS
from training import loop
from training.evaluate import evaluate
from training.export import ParityError, check_parity, export, export_int8, untrained, write_network
from training.feed import load_examples
from training.half import keep_in_half
from training.loop import train
from training.quantise import quantise
from training.recipe import load_recipe
from training.run_folder import Sources, load_run

RECIPES = Path(loop.__file__).parent / "recipes"
TINY = load_recipe(RECIPES / "tiny.toml")


def test_export_reads_and_carries_its_spec(run, data, tmp_path):
    out = tmp_path / "tiny.onnx"
    export(run, out)
    session = Session(out, threads=1)
    assert (session.spec.name, session.spec.version, session.spec.network) == (run.name, "1", "hipnet")
    export(run, tmp_path / "named.onnx", name="mine:3")
    named = Session(tmp_path / "named.onnx", threads=1).spec
    assert (named.name, named.version) == ("mine", "3")
    assert "phantoms" in session.spec.trained_on
    reading = Reader(session).read(next(iter(phantoms([1], workers=1))).frame)
    assert sum(reading.view.probabilities) == pytest.approx(1, abs=1e-4)
    figures = evaluate(out, data, tmp_path / "report")
    assert figures.frames == 40
    assert json.loads((tmp_path / "report" / "report.json").read_text())["frames"] == 40
    assert "phantoms" in (tmp_path / "report" / "report.html").read_text()


def test_numbers_too_large_for_half_precision_stay_as_they_are(network_file, tmp_path):
    graph = onnx.load(network_file)
    large = max(graph.graph.initializer, key=lambda one: np.prod(one.dims))
    values = numpy_helper.to_array(large).copy()
    values.flat[0] = 1e6
    large.CopyFrom(numpy_helper.from_array(values, large.name))
    onnx.save(graph, tmp_path / "large.onnx")
    before = (tmp_path / "large.onnx").stat().st_size
    keep_in_half(tmp_path / "large.onnx")
    kept = {one.name: numpy_helper.to_array(one) for one in onnx.load(tmp_path / "large.onnx").graph.initializer}
    assert all(np.isfinite(one).all() for one in kept.values() if one.dtype.kind == "f")
    assert kept[large.name].max() == 1e6
    assert (tmp_path / "large.onnx").stat().st_size < before


def test_an_answer_that_is_no_number_is_not_exported(run, tmp_path):
    recipe, network = load_run(run)
    with torch.no_grad():
        next(network.parameters()).fill_(float("nan"))
    with pytest.raises(ParityError, match="no number"):
        write_network(network, untrained(recipe)[1], tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


def test_two_runs_are_exported_as_one_file(run, data, tmp_path):
    export(run, tmp_path / "both.onnx", beside=run)
    export(run, tmp_path / "one.onnx")
    both, one = (Session(tmp_path / f"{name}.onnx", threads=1) for name in ("both", "one"))
    assert (both.spec.name, both.spec.network) == (f"{run.name}-{run.name}", "hipnet+hipnet")
    assert both.spec.trained_on.split("; and the other network: ") == [one.spec.trained_on] * 2
    picture = np.random.default_rng(0).integers(0, 256, (both.spec.input_height, both.spec.input_width), np.uint8)
    assert (both.run(picture).labels == one.run(picture).labels).mean() > 0.98
    train(replace(TINY, epochs=1, seed=TINY.seed + 1), Sources(data), tmp_path / "anew")
    with pytest.raises(ValueError, match="split their data alike"):
        export(run, tmp_path / "both.onnx", beside=tmp_path / "anew")


def test_an_exported_graph_is_standard_and_of_known_shapes(network_file):
    """Providers other than the processor's refuse shapes that are computed at run time."""
    graph = onnx.load(str(network_file))
    assert [one.domain for one in graph.opset_import] == [""]
    for told in graph.graph.output:
        first, *rest = told.type.tensor_type.shape.dim
        assert first.dim_param == "n"
        assert all(one.dim_value > 0 for one in rest), told.name


@pytest.fixture(scope="module")
def network_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "net.onnx"
    write_network(*untrained(TINY), path)
    return path


def test_int8_is_smaller_and_carries_the_spec(run, tmp_path):
    export(run, tmp_path / "float.onnx")
    export_int8(run, tmp_path / "int8.onnx")
    plain, small = Session(tmp_path / "float.onnx"), Session(tmp_path / "int8.onnx")
    assert (tmp_path / "int8.onnx").stat().st_size < 0.6 * (tmp_path / "float.onnx").stat().st_size
    assert small.spec.name == f"{plain.spec.name}-int8"
    assert small.spec.thresholds == plain.spec.thresholds


def test_the_served_network_says_nearly_the_same_in_int8(data, tmp_path):
    plain = Session()
    pictures = [e.picture for e in load_examples(open_store(data), tuple(range(24)), plain.spec.input_width)]
    quantise(STARTER, iter(pictures[12:]), tmp_path / "int8.onnx")
    small = Session(tmp_path / "int8.onnx")
    answers = [(plain.run(picture), small.run(picture)) for picture in pictures[:12]]
    assert np.mean([one.labels == other.labels for one, other in answers]) > 0.97
    assert np.mean([one.view.argmax() == other.view.argmax() for one, other in answers]) > 0.9
    strip = np.full((ROWS, COLUMNS), 90, np.uint8)
    assert np.array_equal(small.run_along(strip).edges, plain.run_along(strip).edges)


def test_a_file_without_our_spec_is_refused(network_file, tmp_path):
    graph = onnx.load(str(network_file))
    del graph.metadata_props[:]
    bare = tmp_path / "bare.onnx"
    onnx.save(graph, str(bare))
    with pytest.raises(SpecError, match="not made by `hipsono export`"):
        Session(bare)


def test_an_older_file_is_refused(network_file, tmp_path):
    graph = onnx.load(str(network_file))
    (entry,) = [p for p in graph.metadata_props if p.key == METADATA_KEY]
    entry.value = entry.value.replace('"format": 1', '"format": 0')
    old = tmp_path / "old.onnx"
    onnx.save(graph, str(old))
    with pytest.raises(SpecError, match="export"):
        Session(old)


def test_something_else_is_refused(tmp_path):
    other = tmp_path / "no.onnx"
    other.write_bytes(b"not a network")
    with pytest.raises(SpecError, match="not an ONNX network"):
        Session(other)
    with pytest.raises(FileNotFoundError, match="--model"):
        Session(tmp_path / "missing.onnx")


def test_parity_finds_a_network_that_differs(network_file):
    network, spec = untrained(replace(TINY, seed=2))
    with pytest.raises(ParityError):
        check_parity(ServedNetwork(network, Temperatures()), network_file, spec)


def test_export_is_under_eight_megabytes(tmp_path):
    out = tmp_path / "full.onnx"
    write_network(*untrained(load_recipe(RECIPES / "edges.toml")), out)
    assert out.stat().st_size < 8e6
