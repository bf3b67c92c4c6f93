"""Values refuse what cannot be, and say what to do."""

from dataclasses import replace

import numpy as np
import pytest

from model.frame import Frame, Region, whole_frame
from model.spec import CapsuleSpread, NetworkSpec, SpecError, Temperatures, Thresholds

GREY = np.zeros((64, 80), np.uint8)


def test_spacing_is_that_of_the_smallest_region_that_holds_the_point():
    wide, narrow = Region(0, 0, 79, 63, (0.2, 0.2)), Region(10, 10, 20, 20, (0.1, 0.1))
    frame = Frame(GREY, regions=(wide, narrow))
    assert frame.spacing_at(15, 15) == (0.1, 0.1)
    assert frame.spacing_at(40, 40) == (0.2, 0.2)


def test_outside_every_region_there_is_no_scale():
    assert Frame(GREY, regions=(Region(0, 0, 30, 30, (0.1, 0.1)),)).spacing_at(50, 50) is None
    assert Frame(GREY, regions=(Region(0, 0, 79, 63),)).spacing_at(5, 5) is None
    assert Frame(GREY).spacing_at(5, 5) is None


@pytest.mark.parametrize("spacing", [(0.0, 0.1), (-0.1, 0.1), (float("nan"), 0.1), (9.0, 0.1)])
def test_impossible_spacing_is_refused(spacing):
    with pytest.raises(ValueError, match="mm per pixel"):
        whole_frame(80, 64, spacing)


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (np.zeros((64, 64), np.uint16), "uint8"),
        (np.zeros((64, 64, 4), np.uint8), "shape"),
        (np.zeros((8, 64), np.uint8), "at least"),
    ],
)
def test_a_frame_refuses_other_pixels(pixels, said):
    with pytest.raises(ValueError, match=said):
        Frame(pixels)


def test_a_spec_survives_its_json():
    spec = NetworkSpec("n", "1", "phantoms", 256, 320, Thresholds(view=0.7), Temperatures(gsus=1.5))
    assert NetworkSpec.from_json(spec.to_json()) == spec
    doubting = replace(spec, capsule_spread=CapsuleSpread(0.4, 2.0, 3.0))
    assert NetworkSpec.from_json(doubting.to_json()) == doubting


def test_a_capsule_spread_that_falls_with_doubt_is_refused():
    with pytest.raises(SpecError, match="capsule_spread"):
        CapsuleSpread(0.4, -1.0, 3.0)


def test_a_capsule_spread_grows_with_doubt_up_to_its_widest():
    spread = CapsuleSpread(0.4, 2.0, 1.0)
    assert spread.at(0.0) == pytest.approx(0.4)
    assert 0.4 < spread.at(0.2) < spread.at(0.4) < 1.0
    assert spread.at(0.9) == 1.0


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"format": 1}'])
def test_foreign_metadata_is_refused_with_what_to_do(text):
    with pytest.raises(SpecError, match="export"):
        NetworkSpec.from_json(text)


def test_an_older_format_is_refused():
    text = NetworkSpec("n", "1", "phantoms", 256, 256).to_json().replace('"format": 1', '"format": 0')
    with pytest.raises(SpecError, match="format 0, expected 1"):
        NetworkSpec.from_json(text)


def test_a_network_of_other_structures_is_refused():
    text = NetworkSpec("n", "1", "phantoms", 256, 256).to_json().replace("psoas_tendon", "spleen", 1)
    with pytest.raises(SpecError, match="expected"):
        NetworkSpec.from_json(text)
