"""A strip along the neck: where it lies, what it shows, and what is measured in it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.anatomy import View, structure
from model.findings import Findings, FoundLandmark, FoundStructure
from model.frame import Frame, whole_frame
from model.geometry import perpendicular_span
from model.runtime import Along
from model.spec import CapsuleSpread, StripSpec
from model.strip import COLUMNS, ROWS, Edges, column_at, curves_of, cut, followed, row_at, strip_over
from tests.model.maps import SPEC

places = st.tuples(st.floats(0, 500), st.floats(0, 400))
necks = st.tuples(places, places).filter(lambda ends: np.hypot(*np.subtract(*ends)) > 20)


@given(necks, st.floats(0.5, 2.0))
def test_a_strip_holds_the_neck_whichever_way_it_lies(ends, row_by_column):
    ends = np.array(ends)
    strip = strip_over(ends, row_by_column)
    there = np.array([[column_at(0), row_at(0)], [column_at(1), row_at(0)]])
    assert strip.to_strip(ends) == pytest.approx(there, abs=1e-6)
    assert strip.to_frame(there) == pytest.approx(ends, abs=1e-6)
    up = strip.to_frame(np.array([[40.0, 0.0], [40.0, 50.0]]))
    assert up[0, 1] <= up[1, 1] + 1e-6, "the probe is at the top"


def test_a_neck_of_no_length_is_no_neck():
    with pytest.raises(ValueError, match="no neck"):
        strip_over(np.array([[3.0, 4.0], [3.0, 4.0]]))


@pytest.mark.parametrize("size", [100, 300, 1200])
def test_a_strip_shows_what_lies_there_at_any_resolution(size):
    """A bright band along a level neck, as deep as a tenth of it."""
    picture = np.zeros((size, size), np.uint8)
    left, right, at = 0.2 * size, 0.8 * size, 0.7 * size
    picture[round(at) : round(at + 0.06 * size)] = 200
    seen = cut(picture, strip_over(np.array([[left, at - 0.5], [right, at - 0.5]])))
    column = seen[:, round(column_at(0.5))] / 200
    assert seen.shape == (ROWS, COLUMNS)
    assert column.sum() / ROWS * 1.1 == pytest.approx(0.1, abs=0.01)
    assert np.average(np.arange(ROWS), weights=column) == pytest.approx(row_at(-0.05), abs=1.5)


def test_what_is_made_smaller_is_averaged():
    picture = np.zeros((2000, 2000), np.uint8)
    picture[:, ::2] = 200
    seen = cut(picture, strip_over(np.array([[400.0, 1500], [1600, 1500]])))
    assert np.abs(seen.astype(int) - 100).max() < 12


def edges_at(height, sd=2.0):
    """An outer capsule that keeps that height over a straight cortex, as a share of the neck's length."""
    flat = np.ones(COLUMNS, np.float32)
    return Edges(row_at(height) * flat, sd * flat, row_at(0.0) * flat, sd * flat)


@pytest.mark.parametrize("ends", [((100, 200), (200, 200)), ((200, 220), (110, 180)), ((60, 100), (120, 190))])
def test_a_capsule_is_as_far_off_as_its_edges_say(ends):
    ends = np.array(ends, float)
    curves = curves_of(edges_at(0.3), strip_over(ends), 0.4)
    distance, _ = perpendicular_span(curves.cortex_xy, curves.outer_xy)
    assert distance == pytest.approx(0.3 * np.hypot(*(ends[1] - ends[0])), rel=0.1)
    assert curves.spread_mm == 0.4


class Following:
    """A session whose network for strips tells one height."""

    def __init__(self, sd=2.0, spread=CapsuleSpread(0.1, 1.0, 2.0)):
        self.spec = replace(SPEC, strip=StripSpec("nothing", spread))
        one = edges_at(0.25, sd)
        self.edges = np.stack([[one.outer, one.outer_sd], [one.cortex, one.cortex_sd]])

    def run_along(self, strip):
        assert strip.shape == (ROWS, COLUMNS)
        return Along(self.edges, np.array([0.0, 0.0, 0.9, 0.1], np.float32))


def hip(view=View.LONGITUDINAL, names=("head_neck_junction", "capsule_insertion")):
    at = {"head_neck_junction": (60.0, 180.0), "capsule_insertion": (160.0, 180.0)}
    outline = np.array([[60.0, 180.0], [110.0, 150.0], [160.0, 180.0]])
    found = tuple(FoundStructure(structure(n), 1.0, (outline,), 900.0) for n in ("femoral_neck", "anterior_recess"))
    return Findings(view, 1.0, (0.0,) * 4, found, tuple(FoundLandmark(n, *at[n], 1.0, 1.0) for n in names))


FRAME = Frame(np.zeros((256, 256), np.uint8), whole_frame(256, 256, (0.2, 0.2)))


def test_a_followed_capsule_has_its_distance_and_a_doubt_in_millimetres():
    told = followed(hip(), FRAME, Following())
    curves = told.curves
    assert told.gsus.argmax() == 2
    distance, _ = perpendicular_span(0.2 * curves.cortex_xy, 0.2 * curves.outer_xy)
    assert distance == pytest.approx(5.0, rel=0.1)
    doubt_mm = 2.0 * 20 * 1.1 / ROWS
    assert curves.spread_mm == pytest.approx(0.1 * np.exp(doubt_mm))
    assert followed(hip(), FRAME, Following(sd=9.0)).curves.spread_mm > curves.spread_mm


def test_rows_farther_apart_than_columns_are_heeded():
    tall = Frame(np.zeros((256, 256), np.uint8), whole_frame(256, 256, (0.4, 0.2)))
    curves = followed(hip(), tall, Following()).curves
    distance, _ = perpendicular_span(curves.cortex_xy * [0.2, 0.4], curves.outer_xy * [0.2, 0.4])
    assert distance == pytest.approx(5.0, rel=0.1)


def test_without_a_scale_a_followed_capsule_has_no_doubt_in_millimetres():
    assert followed(hip(), Frame(FRAME.pixels), Following()).curves.spread_mm is None
    assert followed(hip(), FRAME, Following(spread=None)).curves.spread_mm is None


def test_nothing_is_followed_elsewhere_or_without_both_ends():
    assert followed(hip(View.ILIOPECTINEAL), FRAME, Following()) is None
    assert followed(hip(names=("capsule_insertion",)), FRAME, Following()) is None
    assert followed(replace(hip(), structures=hip().structures[:1]), FRAME, Following()) is None
    assert followed(hip(), FRAME, Following(sd=14.0)) is None, "it was not seen"
    without = Following()
    without.spec = SPEC
    assert followed(hip(), FRAME, without) is None
