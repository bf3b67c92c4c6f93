"""The measure of realism measures: finer speckle reaches less far, alike sets cannot be told apart."""

import cv2
import numpy as np
import pytest

from training.realism import SIDE, distance, look_at


def speckled(seed: int, down: float, across: float, level: float = 90.0) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((2, SIDE, SIDE))
    field = [cv2.GaussianBlur(part, (0, 0), across, sigmaY=down) for part in noise]
    envelope = np.hypot(*field)
    return np.clip(level * envelope / envelope.mean(), 1, 255).astype(np.uint8)


def test_speckle_reaches_as_far_as_it_was_drawn():
    fine, coarse = look_at(speckled(0, 0.8, 0.8)), look_at(speckled(0, 0.8, 1.8))
    assert coarse.reach[1] > 1.5 * fine.reach[1]
    assert coarse.reach[0] == pytest.approx(fine.reach[0], rel=0.35)


def test_contrast_of_rayleigh_speckle():
    assert look_at(speckled(1, 1.0, 1.0, 60.0)).contrast[1] == pytest.approx(0.52, abs=0.07)


def test_alike_sets_cannot_be_told_apart_and_others_can():
    one, same, other = (
        tuple(look_at(speckled(start + k, 1, across)) for k in range(15))
        for start, across in ((0, 1.0), (100, 1.0), (200, 2.2))
    )
    assert distance(one, other) > 0.95
    assert 0.1 < distance(one, same) < 0.9


def test_an_empty_picture_has_a_look():
    assert np.isfinite(look_at(np.zeros((SIDE, SIDE), np.uint8)).features).all()


def test_patches_without_texture_say_nothing_of_speckle():
    flat = np.full((SIDE, SIDE), 90, np.uint8)
    assert look_at(flat).reach.tolist() == [0, 0]
    half = speckled(0, 0.8, 0.8)
    half[: SIDE // 2] = 90
    assert look_at(half).reach == pytest.approx(look_at(speckled(0, 0.8, 0.8)).reach, rel=0.2)
