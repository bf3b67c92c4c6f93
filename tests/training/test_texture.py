"""Foreign texture over a picture, and mixed styles within the network."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.anatomy import STRUCTURE_NAMES
from model.network.hipnet import HipNet
from training.feed import Example, Mix
from training.networks import build_network
from training.style import mix_styles
from training.texture import Cover, covered, draw_cover, faded

SIZE = 64


def noise(seed, low=1):
    return np.random.default_rng(seed).integers(low, 255, (SIZE, SIZE), dtype=np.uint8)


def stripes():
    picture = np.full((SIZE, SIZE), 60, np.uint8)
    picture[20:30] = 200
    picture[:, :8] = 0
    return picture


@given(st.integers(0, 5_000))
@settings(max_examples=40)
def test_black_stays_black_and_lit_stays_lit(seed):
    picture = stripes()
    out = covered(picture, noise(seed, 0), draw_cover(1.0, 1.0, np.random.default_rng(seed)))
    assert np.array_equal(out > 0, picture > 0)


@given(st.integers(0, 5_000))
@settings(max_examples=40)
def test_a_bent_picture_keeps_what_is_bright_bright(seed):
    picture = stripes()
    out = covered(picture, None, Cover(0.0, 0.0, 0.9, seed)).astype(float)
    lit = picture > 0
    assert np.corrcoef(out[lit], picture[lit])[0, 1] > 0


def test_without_a_cover_the_picture_is_untouched():
    picture = stripes()
    assert covered(picture, noise(1), Cover(0.0, 4.0, 0.0, 1)) is picture


def test_a_veil_lays_the_other_picture_over():
    plain, over = np.full((SIZE, SIZE), 100, np.uint8), noise(2)
    coarse, fine = covered(plain, over, Cover(0.4, 0.0, 0.0, 3)), covered(plain, over, Cover(0.8, 3.0, 0.0, 3))
    assert coarse.std() > 10
    assert fine.std() > 10
    assert abs(float(fine.mean()) - 100) < 5


def test_only_main_frames_are_veiled():
    nothing = np.zeros((SIZE, SIZE), np.uint8)
    shown, extra = (Example(p, nothing, np.zeros((0, 2)), 0, -1, ()) for p in (stripes(), noise(4)))
    mix = Mix((shown,), (extra,), 0.2, veil_share=1.0)
    rng = np.random.default_rng(0)
    assert not np.array_equal(mix.covered(shown, rng, main=True).picture, shown.picture)
    assert np.array_equal(mix.covered(extra, rng, main=False).picture, extra.picture)


def dark_tendon():
    picture, mask = np.full((SIZE, SIZE), 150, np.uint8), np.zeros((SIZE, SIZE), np.uint8)
    mask[30:38, 26:40] = 1 + STRUCTURE_NAMES.index("psoas_tendon")
    picture[mask > 0] = 20
    return picture, mask


@given(st.integers(0, 5_000))
@settings(max_examples=40)
def test_a_faded_structure_nears_what_lies_beside_it_and_nothing_else_changes(seed):
    picture, mask = dark_tendon()
    out = faded(picture, mask, np.random.default_rng(seed))
    far = cv2.dilate(mask, np.ones((11, 11), np.uint8)) == 0
    assert np.array_equal(out[far], picture[far])
    assert out[mask > 0].mean() > 45


def test_a_structure_is_never_filled_with_its_neighbour():
    picture, mask = dark_tendon()
    mask[mask == 0] = 1 + STRUCTURE_NAMES.index("femoral_head")
    assert np.array_equal(faded(picture, mask, np.random.default_rng(0)), picture)


def test_bone_alone_is_never_faded():
    picture, mask = dark_tendon()
    mask[mask > 0] = 1 + STRUCTURE_NAMES.index("femoral_head")
    assert faded(picture, mask, np.random.default_rng(0)) is picture


def test_mixed_styles_take_on_another_frames_statistics_in_training_only():
    torch.manual_seed(0)
    network = HipNet()
    mix_styles(network, 1.0)
    block = network.encoder[network.taps[0]]
    maps = torch.stack([torch.randn(1, 64, 64) * 0.1, 3 + torch.randn(1, 64, 64)]) * 60 + 100
    (hook,) = block._forward_hooks.values()
    block.train()
    spreads = {round(float(hook(block, (), maps).std(dim=(1, 2, 3))[0])) for _ in range(40)}
    assert min(spreads) < 10 < 55 < max(spreads)
    block.eval()
    assert hook(block, (), maps) is maps


def test_styles_are_mixed_in_our_network_only():
    with pytest.raises(ValueError, match="our own"):
        mix_styles(build_network("lraspp"), 0.5)
