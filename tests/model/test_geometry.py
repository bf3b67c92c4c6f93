"""Placement and curves: inverses by property, distances by paper."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from model.geometry import (
    Placement,
    distance_to_polygon,
    fill,
    perpendicular_span,
    resample,
    sagitta,
)

numbers = st.floats(-500, 500)
scales = st.floats(0.05, 20)


@given(
    st.builds(Placement, numbers, numbers, scales, scales, numbers, numbers),
    arrays(np.float64, (7, 2), elements=st.floats(-2000, 2000)),
)
def test_to_frame_undoes_to_network(placement, points):
    assert np.allclose(placement.to_frame(placement.to_network(points)), points, atol=1e-6)


@given(st.builds(Placement, numbers, numbers, scales, scales, numbers, numbers))
def test_matrix_is_to_network(placement):
    point = np.array([12.5, -3.25])
    assert np.allclose(placement.matrix() @ [*point, 1.0], placement.to_network(point))


def test_pixel_centres_of_a_doubled_picture():
    doubled = Placement(left=10, top=20, scale_x=2, scale_y=2, pad_x=0, pad_y=0)
    assert np.allclose(doubled.to_network([10, 20]), [0.5, 0.5])


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
def test_a_placement_without_scale_is_refused(scale):
    with pytest.raises(ValueError, match="positive"):
        Placement(0, 0, scale, 1, 0, 0)


def test_sagitta_is_positive_towards_the_probe():
    bulging = np.array([[0.0, 10.0], [5.0, 8.0], [10.0, 10.0]])
    assert sagitta(bulging) == pytest.approx((2.0, 10.0))
    assert sagitta(bulging[::-1]) == pytest.approx((2.0, 10.0))
    hollow = bulging * [1, -1]
    assert sagitta(hollow)[0] == pytest.approx(-2.0)


def test_a_closed_curve_has_no_chord():
    with pytest.raises(ValueError, match="chord"):
        sagitta(np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]))


def test_perpendicular_span_of_parallel_lines():
    base = np.stack([np.linspace(0, 10, 11), np.full(11, 10.0)], axis=1)
    outer = base + [0.0, -4.0]
    distance, ends = perpendicular_span(base, outer)
    assert distance == pytest.approx(4.0)
    assert ends[0, 0] == pytest.approx(ends[1, 0])


def test_perpendicular_span_follows_a_slanted_neck():
    along = np.linspace(0, 20, 41)
    base = np.stack([along, 10 + 0.5 * along], axis=1)
    normal = np.array([0.5, -1.0]) / np.hypot(0.5, 1.0)
    distance, _ = perpendicular_span(base, base + 3.0 * normal)
    assert distance == pytest.approx(3.0)


def test_perpendicular_span_without_a_meeting():
    base = np.array([[0.0, 0.0], [1.0, 0.0]])
    with pytest.raises(ValueError, match="perpendicular"):
        perpendicular_span(base, np.array([[0.0, 5.0], [1.0, 5.0]]))


def test_distance_to_a_square():
    square = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]])
    assert distance_to_polygon([7.0, 2.0], square) == pytest.approx(3.0)
    assert distance_to_polygon([7.0, 8.0], square) == pytest.approx(5.0)
    assert distance_to_polygon([2.0, 2.0], square) == 0.0


@given(st.floats(0.1, 3))
def test_resample_keeps_both_ends(step):
    line = np.array([[0.0, 0.0], [3.0, 4.0], [9.0, 4.0]])
    fine = resample(line, step)
    assert np.allclose(fine[[0, -1]], line[[0, -1]])
    assert np.hypot(*np.diff(fine, axis=0).T).max() <= step + 1e-9


@given(arrays(np.float64, st.tuples(st.integers(3, 9), st.just(2)), elements=st.floats(-4, 14)))
def test_a_polygon_holds_the_pixels_whose_centres_lie_within(polygon):
    inside = fill((polygon,), 10, 12)
    assert inside.shape == (10, 12)
    for row, column in np.ndindex(10, 12):
        at = np.array([column, row], float)
        closed = np.concatenate([polygon, polygon[:1]])
        if _distance_to_edge(at, closed) > 1e-6:
            assert inside[row, column] == (distance_to_polygon(at, polygon) == 0)


def _distance_to_edge(point, closed):
    span = np.diff(closed, axis=0)
    along = np.clip(((point - closed[:-1]) * span).sum(axis=1) / np.maximum((span**2).sum(axis=1), 1e-12), 0, 1)
    return np.hypot(*(closed[:-1] + span * along[:, None] - point).T).min()


@pytest.mark.parametrize("radius", [3.3, 12.0, 40.7])
def test_a_filled_polygon_has_its_own_area(radius):
    turns = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    circle = np.stack([50.3 + radius * np.cos(turns), 49.8 + radius * np.sin(turns)], axis=1)
    assert fill((circle,), 100, 100).sum() == pytest.approx(np.pi * radius**2, abs=max(3, 0.2 * radius))
    assert not fill((circle + 1000,), 100, 100).any()
    assert not fill((), 100, 100).any()
