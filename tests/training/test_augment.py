"""One draw moves image, mask and points alike."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.geometry import sagitta
from training.augment import Bow, apply_to_bow, apply_to_image, apply_to_mask, apply_to_points, draw, unchanged

SIZE = 96


def spot(x, y):
    rows, columns = np.mgrid[:SIZE, :SIZE]
    return ((columns - x) ** 2 + (rows - y) ** 2 <= 36).astype(np.uint8)


@given(st.integers(0, 10_000), st.integers(30, 66), st.integers(30, 66))
@settings(max_examples=60)
def test_mask_and_points_move_together(seed, x, y):
    one = draw(SIZE, np.random.default_rng(seed))
    (moved,) = apply_to_points(one, np.array([[float(x), float(y)]]), SIZE)
    rows, columns = np.nonzero(apply_to_mask(one, spot(x, y)))
    if np.isfinite(moved).all() and rows.size > 60 and min(moved.min(), (SIZE - 1 - moved).min()) > 10:
        assert np.allclose(moved, [columns.mean(), rows.mean()], atol=1.0)


@given(st.integers(0, 10_000))
@settings(max_examples=30)
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


@given(st.integers(0, 10_000), st.floats(-0.15, 0.15), st.floats(-0.4, 0.4))
def test_a_capsule_bows_as_its_moved_outline_does(seed, ratio, tilt):
    at = np.linspace(0, 1, 201)[:, None]
    chord = 90 * np.array([np.cos(tilt), np.sin(tilt)])
    up = np.array([chord[1], -chord[0]])
    outline = 40 + at * chord + 4 * at * (1 - at) * ratio * up
    one = draw(288, np.random.default_rng(seed))
    moved = outline @ np.array(one.affine)[:, :2].T
    height, length = sagitta(moved)
    bow = apply_to_bow(one, Bow((float(chord[0]), float(chord[1])), ratio))
    assert bow.ratio == pytest.approx(height / length, abs=0.02 * abs(ratio) + 1e-6)
    assert np.hypot(*bow.chord_xy) == pytest.approx(length)
