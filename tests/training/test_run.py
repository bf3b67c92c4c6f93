"""A whole tiny run: trained, stopped, gone on with; recipes."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from training import loop, run_folder
from training.loop import train
from training.recipe import Recipe, load_recipe
from training.run_folder import Sources

RECIPES = Path(loop.__file__).parent / "recipes"
TINY = load_recipe(RECIPES / "tiny.toml")


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
