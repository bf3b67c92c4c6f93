"""Learning from a teacher's answers beside the truth."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from datasets.store import open_store
from model.network.hipnet import Logits
from model.network.pair import Pair
from training import loop
from training.export import export
from training.feed import collate, load_examples
from training.loop import train
from training.recipe import load_recipe
from training.run_folder import Sources, load_run
from training.teacher import agreement_loss, load_teacher

TINY = replace(load_recipe(Path(loop.__file__).parent / "recipes" / "tiny.toml"), epochs=1)
TAUGHT = replace(TINY, taught_share=0.9, seed=TINY.seed + 1)


@pytest.fixture
def told(data, run):
    """What a network says of four frames, and their truth."""
    with torch.no_grad():
        return load_run(run)[1](four(data).pictures), four(data).target


def four(data):
    return collate(list(load_examples(open_store(data), (0, 1, 2, 3), TINY.input_px)))


def test_whoever_says_the_same_has_nothing_to_learn(told):
    answers, target = told
    assert float(agreement_loss(answers, answers, target, TINY.losses)) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("head", Logits._fields)
def test_each_head_is_drawn_to_the_teachers(told, head):
    answers, target = told
    target = replace(target, gsus=torch.tensor([0, 1, -1, 3]))
    other = answers._replace(**{head: torch.flip(getattr(answers, head), dims=(-1,))})
    mine = getattr(other, head).clone().requires_grad_(True)
    before = agreement_loss(other._replace(**{head: mine}), answers, target, TINY.losses)
    before.backward()
    nearer = other._replace(**{head: mine.detach() - 0.05 * mine.grad / mine.grad.abs().max()})
    assert 0 < float(agreement_loss(nearer, answers, target, TINY.losses)) < float(before.detach())


def test_a_grade_nobody_knows_is_not_asked_for(told):
    answers, target = told
    other = answers._replace(gsus=-answers.gsus)
    nobody = replace(target, gsus=torch.full((4,), -1))
    assert float(agreement_loss(other, answers, nobody, TINY.losses)) == pytest.approx(0, abs=1e-3)


def test_whoever_is_taught_comes_nearer_the_teacher_than_the_truth_alone_brings_it(data, run, tmp_path, told):
    answers, target = told
    away = {}
    for share, teachers in ((0.0, ()), (1.0, (run,))):
        recipe = replace(TAUGHT, taught_share=share, epochs=4)
        train(recipe, Sources(data, teachers=teachers), out := tmp_path / f"taught{share}")
        with torch.no_grad():
            mine = load_run(out)[1](four(data).pictures)
        away[share] = float(agreement_loss(mine, answers, target, TINY.losses))
    assert away[1.0] < 0.8 * away[0.0], away


def test_what_taught_it_is_written_down(data, run, tmp_path):
    train(TAUGHT, Sources(data, teachers=(run, run)), tmp_path / "run")
    assert Sources.of(tmp_path / "run").teachers == (run, run)
    export(tmp_path / "run", tmp_path / "m.onnx")
    assert b"the answers of 2 networks" in (tmp_path / "m.onnx").read_bytes()


def test_two_teachers_say_their_mean_and_learn_nothing(run):
    teacher = load_teacher((run, run), TAUGHT)
    assert isinstance(teacher, Pair) and not teacher.training
    assert not any(one.requires_grad for one in teacher.parameters())


@pytest.mark.parametrize("half", [False, True])
def test_an_exported_file_teaches_what_its_run_does(data, run, tmp_path, told, half):
    export(run, tmp_path / "m.onnx", half=half)
    teacher = load_teacher((tmp_path / "m.onnx",), TAUGHT)
    with torch.no_grad():
        answers = teacher(four(data).pictures)
    for said, meant in zip(answers, told[0], strict=True):
        torch.testing.assert_close(said, meant, atol=0.02 if half else 1e-3, rtol=0.01)


def test_a_file_of_something_else_teaches_nothing(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"no network")
    with pytest.raises(ValueError, match=r"m\.onnx teaches nothing"):
        load_teacher((tmp_path / "m.onnx",), TAUGHT)


@pytest.mark.parametrize(
    ("teachers", "recipe", "message"),
    [
        (0, TAUGHT, "come together"),
        (1, TINY, "come together"),
        (3, TAUGHT, "the mean of two"),
        (1, replace(TAUGHT, input_px=96), "must be the same"),
    ],
)
def test_a_teacher_that_does_not_fit_is_refused(run, teachers, recipe, message):
    with pytest.raises(ValueError, match=message):
        load_teacher((run,) * teachers, recipe)


def test_a_network_of_structures_only_teaches_nothing(data, tmp_path):
    train(replace(TINY, network="lraspp"), Sources(data), tmp_path / "peer")
    with pytest.raises(ValueError, match="structures only"):
        load_teacher((tmp_path / "peer",), TAUGHT)
