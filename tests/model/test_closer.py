"""A closer look: where it is taken, what is kept of either, and that it sees better."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.phantom.generate import phantom
from model.anatomy import View
from model.closer import MARGIN, box_around, closer_box, is_heard, merged
from model.findings import find
from model.reading import Reader
from model.runtime import Session
from model.steps import Answered, graded_by_both
from tests.model.maps import SPEC, UNMOVED, disc, maps_of

SECTOR = (0, 0, 255, 255)


def vessels(artery_x=80, vein=True):
    """An artery and a vein beside one another above an iliopectineal eminence."""
    labels = np.zeros((256, 256), np.uint8)
    disc(labels, (artery_x, 100), 18, 4)
    if vein:
        disc(labels, (40, 100), 16, 5)
    labels[140:148, 40:100] = 3
    return find(maps_of(labels, View.ILIOPECTINEAL, {"iliopectineal_eminence": (70, 140)}), UNMOVED, SPEC)


def told_with(findings, name, confidence):
    structures = tuple(
        replace(one, confidence=confidence) if one.structure.name == name else one for one in findings.structures
    )
    return replace(findings, structures=structures)


@given(
    st.lists(st.tuples(st.floats(0, 255), st.floats(0, 255)), min_size=1, max_size=8),
    st.floats(0.8, 2),
)
def test_the_box_lies_in_the_sector_and_holds_what_it_is_put_around(places, margin):
    points = np.array(places)
    x0, y0, x1, y1 = box_around(points, SECTOR, margin)
    assert 0 <= x0 < x1 <= 255
    assert 0 <= y0 < y1 <= 255
    if margin >= 1:
        assert x0 - 1 <= points[:, 0].min()
        assert y0 - 1 <= points[:, 1].min()
        assert points[:, 0].max() <= x1 + 1
        assert points[:, 1].max() <= y1 + 1


def test_it_is_taken_of_what_was_found_and_only_where_it_is_closer():
    x0, y0, x1, y1 = closer_box(vessels(), SECTOR)
    assert x1 - x0 == pytest.approx(MARGIN * 76, abs=3)
    assert (x0 + x1) / 2 == pytest.approx(61, abs=2)
    assert y0 < 82 < 148 < y1
    assert closer_box(vessels(), (20, 80, 110, 150)) is None
    assert closer_box(replace(vessels(), structures=()), SECTOR) is None


def test_the_closer_look_is_told_but_where_the_first_was_clearly_surer():
    first, closer = vessels(80), vessels(84)
    near = merged(first, closer, 0.1).structure("femoral_artery")
    assert near is closer.structure("femoral_artery")
    doubted = merged(first, told_with(closer, "femoral_artery", 0.8), 0.1)
    assert doubted.structure("femoral_artery") is first.structure("femoral_artery")
    assert doubted.structure("femoral_vein") is closer.structure("femoral_vein")
    assert doubted.landmark("femoral_artery").x == pytest.approx(80, abs=0.2)


def test_bone_is_told_as_the_first_look_saw_it():
    first, closer = vessels(), vessels()
    assert merged(first, closer, 0.1).structure("iliopectineal_eminence") is first.structure("iliopectineal_eminence")


def test_a_landmark_is_where_the_closer_look_puts_it_as_sure_as_the_surer():
    first, closer = vessels(), vessels()
    (eminence,) = (point for point in closer.landmarks if point.name == "iliopectineal_eminence")
    moved = replace(eminence, x=eminence.x + 2, confidence=0.5)
    both = merged(first, replace(closer, landmarks=(moved,)), 0.1).landmark("iliopectineal_eminence")
    assert (both.x, both.spread_px) == (moved.x, moved.spread_px)
    assert both.confidence == first.landmark("iliopectineal_eminence").confidence


def test_what_only_one_of_them_found_is_told():
    first, closer = vessels(), vessels()
    without = replace(closer, structures=closer.structures[1:], landmarks=())
    for one, other in ((first, without), (without, first)):
        both = merged(one, other, 0.1)
        assert [s.structure.name for s in both.structures] == [s.structure.name for s in first.structures]
        assert both.landmark("iliopectineal_eminence") == first.landmark("iliopectineal_eminence")


def test_vessels_that_do_not_adjoin_are_not_told_together():
    unsure = told_with(vessels(), "femoral_artery", 0.5)
    elsewhere = told_with(vessels(230, vein=False), "femoral_artery", 0.6)
    assert [s.structure.name for s in merged(unsure, elsewhere, 0.1).structures] == [
        "iliopectineal_eminence",
        "femoral_vein",
    ]


def test_a_look_of_another_view_is_not_heard():
    first = vessels()
    assert is_heard(first, first)
    assert not is_heard(first, replace(first, view=View.INFEROMEDIAL))
    assert not is_heard(first, replace(first, withheld="view uncertain"))


def answered(*probabilities):
    maps = replace(maps_of(np.zeros((8, 8), np.uint8), View.LONGITUDINAL, {}), gsus=np.float32(probabilities))
    return Answered(None, None, maps, (0.0, 0.0))


@given(st.floats(0.3, 3))
def test_grades_of_two_looks_are_their_mean_at_its_own_temperature(temperature):
    first, near = answered(0.1, 0.6, 0.3, 0.0), answered(0.2, 0.8, 0.0, 0.0)
    told = graded_by_both(first, near, temperature).maps.gsus
    assert told.sum() == pytest.approx(1, abs=1e-6)
    odds = (0.7 / 0.15) ** (1 / temperature)
    assert told[1] / told[0] == pytest.approx(odds, rel=1e-4)
    assert graded_by_both(first, near, 1.0).maps.gsus == pytest.approx([0.15, 0.7, 0.15, 0.0], abs=1e-6)


@pytest.fixture(scope="module")
def session():
    return Session(threads=1)


def test_a_reading_tells_its_looks_and_a_stream_takes_one(session):
    frame = phantom(6_300_100, View.INFEROMEDIAL).frame
    once, twice = (Reader(session, looks=looks) for looks in (1, 2))
    assert (once.read(frame).looks, twice.read(frame).looks) == (1, 2)
    assert once.read(frame).id != twice.read(frame).id
    reading, _ = twice.follow(frame, None, 0.0)
    assert reading.looks == 1
    assert reading.id == once.read(frame).id
