"""The sector is found where it is, and the input's placement is exact."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from model.frame import Frame, Region
from model.preprocess import exposure_fault, find_sector, letterbox


def screen(box, width=400, height=300, level=120):
    pixels = np.zeros((height, width), np.uint8)
    rng = np.random.default_rng(0)
    x0, y0, x1, y1 = box
    pixels[y0 : y1 + 1, x0 : x1 + 1] = rng.integers(level - 40, level + 40, (y1 - y0 + 1, x1 - x0 + 1))
    pixels[4:10, 4:30] = 255
    return pixels


@given(st.integers(40, 120), st.integers(20, 80), st.integers(150, 250), st.integers(120, 200))
@settings(max_examples=30)
def test_a_bright_sector_is_found_beside_text(left, top, width, height):
    box = (left, top, left + width, top + height)
    found = find_sector(Frame(screen(box)))
    assert np.abs(np.array(found) - box).max() <= 6


def test_the_sector_lies_within_the_tissue_region():
    pixels = screen((100, 50, 300, 250))
    x0, y0, x1, y1 = find_sector(Frame(pixels, regions=(Region(150, 60, 280, 240),)))
    assert x0 >= 150 and y0 >= 60 and x1 <= 280 and y1 <= 240


def test_a_region_beyond_the_picture_is_clipped():
    x0, y0, x1, y1 = find_sector(Frame(screen((100, 50, 300, 250)), regions=(Region(350, 250, 900, 900),)))
    assert 0 <= x0 < x1 <= 399 and 0 <= y0 < y1 <= 299


def test_a_black_picture_has_the_whole_frame_as_sector():
    assert find_sector(Frame(np.zeros((300, 400), np.uint8))) == (0, 0, 399, 299)


@given(st.integers(40, 500), st.integers(40, 500))
@settings(max_examples=40)
def test_corners_of_the_crop_land_on_the_input(width, height):
    frame = Frame(np.full((height, width), 90, np.uint8))
    picture, placement = letterbox(frame, (0, 0, width - 1, height - 1), 128, 160)
    assert picture.shape == (128, 160)
    lit = np.argwhere(picture > 0)
    corners = placement.to_network([[-0.5, -0.5], [width - 0.5, height - 0.5]])
    assert np.allclose(corners[0][::-1], lit.min(axis=0) - 0.5, atol=1e-6)
    beyond = corners[1][::-1] - (lit.max(axis=0) + 0.5)
    assert (beyond > -1e-6).all() and (beyond < 1).all(), "less than a network pixel may be left out"


@given(st.integers(200, 900), st.booleans())
@settings(max_examples=40)
def test_a_picture_lies_where_its_placement_says(length, across):
    """A ramp up and a ramp down: half a pixel's shift makes them differ by two grey levels, rounding does not."""
    up = np.broadcast_to(np.arange(length) * 250.0 / length, (length, length))
    errors = []
    for ramp in (up, 250 - up):
        frame = Frame(np.asarray(ramp if across else ramp.T).round().astype(np.uint8))
        picture, placement = letterbox(frame, (0, 0, length - 1, length - 1), 128, 128)
        there = np.stack(np.meshgrid(np.arange(4, 124), np.arange(4, 124)), axis=-1)
        along = placement.to_frame(there)[..., 0 if across else 1] * 250.0 / length
        errors.append((picture[4:124, 4:124] - (along if ramp is up else 250 - along)).mean())
    assert abs(errors[0] - errors[1]) < 0.5


def test_unequal_spacing_is_made_square():
    frame = Frame(np.full((100, 100), 90, np.uint8), regions=(Region(0, 0, 99, 99, (0.2, 0.1)),))
    _, placement = letterbox(frame, (0, 0, 99, 99), 128, 128)
    assert placement.scale_y / placement.scale_x == 2.0


def test_empty_and_saturated_pictures_are_told():
    assert "empty" in (exposure_fault(np.zeros((64, 64), np.uint8)) or "")
    assert "saturated" in (exposure_fault(np.full((64, 64), 255, np.uint8)) or "")
    assert exposure_fault(np.full((64, 64), 90, np.uint8)) is None
