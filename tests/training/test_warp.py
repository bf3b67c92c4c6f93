"""A warp moves image, mask and points alike, and folds nothing."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from training.warp import draw_warp, warp_image, warp_mask, warp_points

SIZE = 96


@given(st.integers(0, 10_000), st.integers(24, 72), st.integers(24, 72))
@settings(max_examples=60)
def test_picture_mask_and_points_move_together(seed, x, y):
    one = draw_warp(SIZE, np.random.default_rng(seed))
    rows, columns = np.mgrid[:SIZE, :SIZE]
    mask = ((columns - x) ** 2 + (rows - y) ** 2 <= 16).astype(np.uint8)
    (place,) = warp_points(one, np.array([[float(x), float(y)]]))
    found_y, found_x = np.nonzero(warp_mask(one, mask))
    assert np.allclose(place, [found_x.mean(), found_y.mean()], atol=1.0)
    shown = warp_image(one, mask * 200)
    assert np.count_nonzero((shown > 100) != (warp_mask(one, mask) > 0)) <= 24


@given(st.integers(0, 10_000))
@settings(max_examples=30)
def test_points_come_back_and_nothing_folds(seed):
    one = draw_warp(SIZE, np.random.default_rng(seed))
    new = np.random.default_rng(seed).integers(12, SIZE - 12, (8, 2))
    old = one.taken_from[new[:, 1], new[:, 0]].astype(np.float64)
    assert np.allclose(warp_points(one, old), new, atol=0.2)
    assert (np.diff(one.taken_from[..., 0], axis=1) > 0).all()
    assert (np.diff(one.taken_from[..., 1], axis=0) > 0).all()


def test_an_absent_point_stays_absent():
    one = draw_warp(SIZE, np.random.default_rng(0))
    assert np.isnan(warp_points(one, np.full((1, 2), np.nan))).all()
