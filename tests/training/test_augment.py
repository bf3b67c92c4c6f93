"""One draw moves image, mask and points alike."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.augment import apply_to_image, apply_to_mask, apply_to_points, draw, lit_window, unchanged

SIZE = 96


def spot(x, y):
    rows, columns = np.mgrid[:SIZE, :SIZE]
    return ((columns - x) ** 2 + (rows - y) ** 2 <= 36).astype(np.uint8)


@given(st.integers(0, 10_000), st.integers(30, 66), st.integers(30, 66))
@settings(max_examples=60, deadline=None)
def test_mask_and_points_move_together(seed, x, y):
    one = draw(SIZE, np.random.default_rng(seed))
    (moved,) = apply_to_points(one, np.array([[float(x), float(y)]]), SIZE)
    rows, columns = np.nonzero(apply_to_mask(one, spot(x, y)))
    x0, y0, x1, y1 = one.window
    whole = min(x - x0, y - y0, x1 - x, y1 - y) > 7 and min(moved.min(), (SIZE - 1 - moved).min()) > 10
    if np.isfinite(moved).all() and rows.size > 60 and whole:
        assert np.allclose(moved, [columns.mean(), rows.mean()], atol=1.0)


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_image_moves_with_the_mask(seed):
    one = draw(SIZE, np.random.default_rng(seed))
    shape = spot(44, 52)
    picture = np.where(shape == 1, 220, 40).astype(np.uint8)
    shown, mask = apply_to_image(one, picture), apply_to_mask(one, shape)
    lit = shown > 0
    inside, outside = (mask == 1) & lit, (mask == 0) & lit
    if inside.sum() > 60:
        assert shown[inside].mean() > shown[outside].mean()


def test_the_same_draw_gives_the_same_picture():
    picture = np.random.default_rng(0).integers(0, 255, (SIZE, SIZE), dtype=np.uint8)
    one = draw(SIZE, np.random.default_rng(3))
    assert np.array_equal(apply_to_image(one, picture), apply_to_image(one, picture))


@given(st.integers(0, 5_000))
@settings(max_examples=40, deadline=None)
def test_what_the_window_cuts_off_is_gone_from_picture_mask_and_points(seed):
    one = draw(SIZE, np.random.default_rng(seed), (8, 16, 88, 80))
    x0, y0, x1, y1 = one.window
    assert 8 <= x0 < x1 <= 88 and 16 <= y0 < y1 <= 80
    outside = np.ones((SIZE, SIZE), np.uint8)
    outside[y0:y1, x0:x1] = 0
    assert not apply_to_mask(one, outside).any()
    corners = np.array([[x0 - 1.0, y0], [x0, y0 - 1.0], [x1, y0], [x0, y1]])
    assert np.isnan(apply_to_points(one, corners, SIZE)).all()


def test_a_cut_picture_fills_the_input_again():
    for seed in range(200):
        one = draw(SIZE, np.random.default_rng(seed), (0, 24, 96, 72))
        wide = one.window[2] - one.window[0]
        if wide < 70:
            grown = np.sqrt(abs(np.linalg.det(np.array(one.affine)[:, :2])))
            assert grown > 0.5 * SIZE / max(wide, 48)
            return
    raise AssertionError("no draw cut the picture narrower")


def test_the_lit_window_is_where_the_picture_is():
    picture = np.zeros((SIZE, SIZE), np.uint8)
    picture[20:30, 40:70] = 9
    assert lit_window(picture) == (40, 20, 70, 30)
    assert lit_window(np.zeros((SIZE, SIZE), np.uint8)) == (0, 0, SIZE, SIZE)


def test_unchanged_changes_nothing():
    picture = np.random.default_rng(0).integers(1, 255, (SIZE, SIZE), dtype=np.uint8)
    points = np.array([[3.0, 4.0], [50.0, 60.0]])
    assert np.array_equal(apply_to_image(unchanged(SIZE), picture), picture)
    assert np.array_equal(apply_to_points(unchanged(SIZE), points, SIZE), points)


def test_a_point_that_leaves_the_picture_is_absent():
    far = np.array([[0.0, 0.0], [np.nan, np.nan]])
    one = next(
        d for s in range(50) if (d := draw(SIZE, np.random.default_rng(s))).affine[0][2] < -5 and d.affine[0][0] > 0
    )
    assert np.isnan(apply_to_points(one, far, SIZE)).all()


@pytest.mark.parametrize("seed", range(20))
def test_padding_stays_black(seed):
    picture = np.zeros((SIZE, SIZE), np.uint8)
    assert not apply_to_image(draw(SIZE, np.random.default_rng(seed)), picture).any()
