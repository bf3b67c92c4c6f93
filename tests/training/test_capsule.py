"""The network that follows a capsule: what it learns from, a tiny run, and its place in a model's file."""

import base64
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from datasets.phantom.generate import phantoms
from datasets.store import open_store, write_store
from model.anatomy import View
from model.measure import measured
from model.network.edges import EdgeNet, rows_of
from model.reading import Reader
from model.runtime import Session
from model.spec import METADATA_KEY, STRIP_KEY, SpecError
from model.strip import COLUMNS, ROWS, column_at, row_at, strip_over
from training.capsule import learn as learning
from training.capsule.attach import attach
from training.capsule.calibrate import fit_share
from training.capsule.learn import CapsuleRecipe, edge_loss, learn, load_capsule_recipe, load_edges
from training.capsule.strips import batches, edges_of, places, plain_batches
from training.run_folder import LAST, Sources

TINY = CapsuleRecipe(epochs=2, batch_size=4)


@pytest.fixture(scope="module")
def hips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "hips"
    drawn = phantoms(range(6_200_000, 6_200_040), View.LONGITUDINAL, workers=2)
    write_store(drawn, folder, provenance="phantom hips", licence="none")
    return folder


@pytest.fixture(scope="module")
def followed(hips, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "capsule"
    learn(TINY, Sources(hips), run)
    return run


@pytest.fixture(scope="module")
def model(followed, tmp_path_factory):
    file = tmp_path_factory.mktemp("models") / "both.onnx"
    attach(Session().path, followed, file, "hip:9")
    return file


def test_edges_are_where_the_mask_says():
    mask = np.zeros((300, 400), np.uint8)
    mask[140:200, 60:340] = 9
    outer, cortex = edges_of(mask, strip_over(np.array([[100.0, 199.5], [300.0, 199.5]])))
    over = slice(round(column_at(0.0)), round(column_at(1.0)))
    assert outer[over] == pytest.approx(row_at(0.3), abs=0.3)
    assert cortex[over] == pytest.approx(row_at(0.0), abs=0.3)
    assert np.isnan(edges_of(np.zeros_like(mask), strip_over(np.array([[100.0, 200], [300, 200]])))).all()


def test_only_frames_that_show_a_whole_capsule_are_learnt_from(data):
    store = open_store(data)
    shown = places(store, tuple(range(len(store))))
    assert 0 < len(shown) < len(store)
    assert all(store.records[one.row].view is View.LONGITUDINAL for one in shown)
    partly = replace(store, records=tuple(replace(one, labelled=("femoral_neck",)) for one in store.records))
    assert not places(partly, tuple(range(len(store))))


def test_the_same_epoch_comes_again_and_others_differ(hips):
    store = open_store(hips)
    seen = places(store, tuple(range(12)))
    first, again, other = (next(iter(batches(seen, 4, key))) for key in ((1, 0), (1, 0), (1, 1)))
    assert torch.equal(first.pictures, again.pictures)
    assert not torch.equal(first.pictures, other.pictures)
    plain = list(plain_batches(seen, 5))
    assert sum(len(batch.rows) for batch in plain) == len(seen)


def test_the_loss_is_least_at_the_truth_and_columns_without_count_nothing():
    rows = torch.full((1, 2, COLUMNS), 60.5)

    def sure_of(row):
        logits = torch.full((1, 2, ROWS // 2, COLUMNS), -9.0)
        logits[:, :, row // 2] = 9.0
        return logits

    assert rows_of(sure_of(60))[0] == pytest.approx(60.5, abs=0.1)
    assert edge_loss(sure_of(60), rows) < edge_loss(sure_of(66), rows) < edge_loss(sure_of(90), rows)
    half = rows.clone()
    half[..., 50:] = np.nan
    wrong_there = sure_of(60)
    wrong_there[..., 50:] = sure_of(120)[..., 50:]
    assert edge_loss(wrong_there, half) == pytest.approx(float(edge_loss(sure_of(60), half)))


def test_a_resumed_run_ends_as_an_uninterrupted_one(hips, followed, tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    folder = tmp_path / "stopped"
    with monkeypatch.context() as patch:
        patch.setattr(learning, "_validate", killed)
        with pytest.raises(KeyboardInterrupt):
            learn(TINY, Sources(hips), folder)
    assert not (folder / LAST).exists()
    shorter = learning.write_whole

    def stopped(path, content):
        shorter(path, content)
        if content.count("\n") == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(learning, "write_whole", stopped)
        with pytest.raises(KeyboardInterrupt):
            learn(TINY, Sources(hips), folder)
    learn(TINY, Sources(hips), folder, resume=True)
    here, there = load_edges(followed).state_dict(), load_edges(folder).state_dict()
    assert all(torch.equal(here[name], there[name]) for name in here)


def test_a_run_is_not_overwritten_not_mixed_and_needs_hips(hips, followed, vessels, tmp_path):
    with pytest.raises(ValueError, match="--resume"):
        learn(TINY, Sources(hips), followed)
    with pytest.raises(ValueError, match="another recipe"):
        learn(replace(TINY, seed=9), Sources(hips), followed, resume=True)
    with pytest.raises(ValueError, match="too few"):
        learn(TINY, Sources(vessels), tmp_path / "none")
    with pytest.raises(ValueError, match="capsule train"):
        load_edges(tmp_path / "none")


@pytest.mark.parametrize(
    ("text", "said"), [("epochs=0", "epochs"), ("epochs=1\ncolour=2", "colour"), ("= 1", "at line")]
)
def test_a_bad_recipe_is_refused_by_name(tmp_path, text, said):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"bad\.toml.*{said}"):
        load_capsule_recipe(path)


@pytest.mark.parametrize(("right", "least", "most"), [((0.9, 0.4), 0.0, 0.3), ((0.4, 0.9), 0.7, 1.0)])
def test_the_grade_is_rather_the_surer_networks(right, least, most):
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 4, 400)

    def told(often):
        best = np.where(rng.random(400) < often, truth, (truth + 1) % 4)
        return np.eye(4)[best] * (often - 0.05) + (1.05 - often) / 4

    share, temperature = fit_share(told(right[0]), told(right[1]), truth)
    assert least <= share <= most
    assert 0.3 <= temperature <= 3
    assert fit_share(np.eye(4)[:2], np.eye(4)[:2], np.array([0, 1])) == (0.0, 1.0)


def test_a_file_with_it_follows_capsules_and_says_so(hips, model):
    plain, both = Session(), Session(model)
    assert (both.spec.name, both.spec.version) == ("hip", "9")
    assert both.sha256 != plain.sha256
    assert both.spec.strip is not None and "phantom hips" in both.spec.strip.trained_on
    sample = next(s for s in map(open_store(hips).sample, range(40)) if _distance(Reader(plain, looks=2), s))
    once, twice = (_distance(Reader(both, looks=looks), sample) for looks in (1, 2))
    assert once.value == _distance(Reader(plain), sample).value, "a stream has no time for it"
    assert twice.value != _distance(Reader(plain, looks=2), sample).value
    assert Reader(both, looks=2).read(sample.frame).looks == 2


def _distance(reader, sample):
    return measured(reader.read(sample.frame).measurements, "capsule_distance")


def test_a_file_whose_second_network_is_broken_is_refused(model, tmp_path):
    graph, torn = onnx.load(model), tmp_path / "torn.onnx"
    held = {one.key: one.value for one in graph.metadata_props}
    onnx.save(_with(graph, {METADATA_KEY: held[METADATA_KEY]}), torn)
    with pytest.raises(SpecError, match="lacks the network for strips"):
        Session(torn)
    for broken, said in (("?", "base64"), (base64.b64encode(b"nothing").decode(), "not an ONNX network")):
        onnx.save(_with(graph, held | {STRIP_KEY: broken}), torn)
        with pytest.raises(SpecError, match=said):
            Session(torn)


def _with(graph, held):
    del graph.metadata_props[:]
    onnx.helper.set_model_props(graph, held)
    return graph


def test_a_file_without_it_says_how_to_come_by_it(tmp_path):
    graph = onnx.load(Session().path)
    plain = replace(Session().spec, strip=None)
    onnx.save(_with(graph, {METADATA_KEY: plain.to_json()}), tmp_path / "plain.onnx")
    with pytest.raises(ValueError, match="capsule attach"):
        Session(tmp_path / "plain.onnx").run_along(np.zeros((ROWS, COLUMNS), np.uint8))


def test_the_network_takes_strips_of_one_size():
    told = EdgeNet().eval()(torch.zeros(2, 1, ROWS, COLUMNS))
    assert told.edges.shape == (2, 2, ROWS // 2, COLUMNS)
    assert told.gsus.shape == (2, 3)
