"""How well a frame shows a hip."""

from dataclasses import replace

import pytest

from datasets.phantom.cine import cine
from model.anatomy import View
from serving.archive.quality import frame_quality
from tests import known_hips
from tests.ungraded import not_gradable


def test_a_frame_that_cannot_be_graded_has_no_quality_and_an_uncertain_grade_costs_none(reader):
    frame = next(iter(cine(known_hips.LONGITUDINAL, View.LONGITUDINAL, 1))).frame
    reading = reader.read(frame)
    neck = next(one for one in reading.structures if one.name == "femoral_neck")
    vague = tuple(replace(one, confidence=0.31) if one is neck else one for one in reading.structures)
    assert frame_quality(replace(reading, structures=vague)) == pytest.approx(0.31)
    without = tuple(one for one in reading.structures if one is not neck)
    assert frame_quality(replace(reading, structures=without)) == 0
    assert frame_quality(replace(reading, solar=not_gradable("the picture is saturated"))) == 0
    unsure = replace(reading.solar.gsus, grade=None, reason="grade uncertain")
    assert frame_quality(replace(reading, solar=replace(reading.solar, gsus=unsure))) == frame_quality(reading) > 0.5
