"""Two networks in one file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.network.pair import Pair
from model.runtime import Session
from training import loop
from training.export import untrained, write_network
from training.half import keep_in_half
from training.recipe import load_recipe
from training.restore import read_onnx

TINY = load_recipe(Path(loop.__file__).parent / "recipes" / "tiny.toml")


@pytest.fixture(scope="module")
def networks():
    first, spec = untrained(TINY)
    return first, untrained(replace(TINY, network="hipnet-small", seed=TINY.seed + 1))[0], spec


def test_a_pair_says_the_mean_of_both(networks):
    first, second, _ = networks
    pictures = torch.rand(2, 1, 64, 64) * 255
    told = zip(Pair(first, second)(pictures), first(pictures), second(pictures), strict=True)
    for both, here, there in told:
        torch.testing.assert_close(both, (here + there) / 2)


def test_in_half_precision_it_is_half_as_large_and_says_the_same(networks, tmp_path):
    first, second, spec = networks
    write_network(Pair(first, second), spec, path := tmp_path / "pair.onnx")
    size, rng = path.stat().st_size, np.random.default_rng(0)
    frames = rng.integers(0, 256, (4, spec.input_height, spec.input_width), np.uint8)
    before = [Session(path, threads=1).run(frame) for frame in frames]
    keep_in_half(path)
    after = [Session(path, threads=1).run(frame) for frame in frames]
    assert path.stat().st_size < 0.6 * size
    for here, there in zip(before, after, strict=True):
        assert (here.labels == there.labels).mean() > 0.98
        np.testing.assert_allclose(here.view, there.view, atol=0.01)


def test_nothing_is_learnt_on_from_a_file_of_two(networks, tmp_path):
    first, second, spec = networks
    write_network(Pair(first, second), replace(spec, network="hipnet+hipnet-small"), path := tmp_path / "pair.onnx")
    with pytest.raises(ValueError, match="two networks"):
        read_onnx(path)


def test_weights_in_half_precision_are_learnt_on_from(networks, tmp_path):
    network, _, spec = networks
    write_network(network, spec, path := tmp_path / "one.onnx")
    whole = read_onnx(path).layers
    keep_in_half(path)
    half = read_onnx(path).layers
    assert whole.keys() == half.keys()
    for name, (weight, _) in whole.items():
        torch.testing.assert_close(half[name][0], weight, atol=1e-3, rtol=1e-3)
