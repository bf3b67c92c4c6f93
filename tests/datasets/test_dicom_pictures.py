"""Every photometric interpretation as the picture that a person would see."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.pixels.processing import convert_color_space

from datasets.dicom import read_dicom
from tests.datasets.conftest import palette_tags

SIZE = (60, 84)


def test_monochrome1_is_shown_with_bone_bright(build_dicom, scan_pixels):
    np.testing.assert_array_equal(
        read_dicom(build_dicom(scan_pixels, "MONOCHROME1")).frame(0).pixels, 255 - scan_pixels
    )


@pytest.mark.parametrize("planar", [0, 1])
def test_planes_and_pixels_give_the_same_picture(planar, build_dicom, colour_pixels):
    stored = colour_pixels if planar == 0 else np.moveaxis(colour_pixels, -1, 0)
    file = build_dicom(colour_pixels, "RGB", PlanarConfiguration=planar, PixelData=stored.tobytes())
    np.testing.assert_array_equal(read_dicom(file).frame(0).pixels, colour_pixels)


def test_ybr_full(build_dicom, colour_pixels):
    stored = convert_color_space(colour_pixels, "RGB", "YBR_FULL")
    got = read_dicom(build_dicom(stored, "YBR_FULL")).frame(0).pixels
    assert np.abs(got.astype(int) - colour_pixels).max() <= 3


def test_ybr_full_422(build_dicom, colour_pixels):
    full = convert_color_space(colour_pixels, "RGB", "YBR_FULL")
    pairs = full.reshape(SIZE[0], -1, 2, 3)
    stored = np.concatenate([pairs[..., 0, :1], pairs[..., 1, :1], pairs[..., 0, 1:]], axis=-1)
    got = read_dicom(build_dicom(full, "YBR_FULL_422", PixelData=stored.tobytes())).frame(0).pixels
    assert np.abs(got.astype(int) - colour_pixels).mean() <= 1


@pytest.mark.parametrize("levels", [257, 256, 1], ids=["16 bits full", "16 bits high byte", "8 bits in 16"])
def test_palettes(levels, build_dicom, scan_pixels):
    colours = np.stack([np.arange(256), np.arange(256)[::-1], np.full(256, 77)], axis=1)
    file = build_dicom(scan_pixels, "PALETTE COLOR", **palette_tags(colours * levels))
    np.testing.assert_array_equal(read_dicom(file).frame(0).pixels, colours[scan_pixels])


def test_a_grey_palette_gives_a_grey_picture(build_dicom, scan_pixels):
    grey = np.repeat(np.arange(256)[:, None], 3, axis=1)
    file = build_dicom(scan_pixels, "PALETTE COLOR", **palette_tags(grey * 256))
    np.testing.assert_array_equal(read_dicom(file).frame(0).pixels, scan_pixels)


def test_colour_without_colour_is_grey_and_one_red_pixel_is_colour(build_dicom, scan_pixels):
    rgb = np.repeat(scan_pixels[..., None], 3, axis=2)
    np.testing.assert_array_equal(read_dicom(build_dicom(rgb, "RGB")).frame(0).pixels, scan_pixels)
    rgb[13, 17] = (200, 30, 30)
    assert read_dicom(build_dicom(rgb, "RGB")).frame(0).colour is not None


@settings(max_examples=40)
@given(
    centre=st.floats(-500, 3000),
    width=st.floats(2, 4000),
    slope=st.sampled_from([1.0, 2.0, 0.5]),
    intercept=st.sampled_from([0.0, -1024.0]),
)
def test_sixteen_bits_are_windowed_as_the_standard_says(centre, width, slope, intercept, build_dicom):
    deep = np.linspace(0, 4095, SIZE[0] * SIZE[1]).astype(np.uint16).reshape(SIZE)
    centre, width = round(centre, 3), round(width, 3)
    tags = {"WindowCenter": centre, "WindowWidth": width, "RescaleSlope": slope, "RescaleIntercept": intercept}
    got = read_dicom(build_dicom(deep, **tags)).frame(0).pixels
    value = deep * slope + intercept
    expected = np.clip(((value - (centre - 0.5)) / (width - 1) + 0.5) * 255, 0, 255)
    assert np.abs(got - expected).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("dtype", [np.uint16, np.int16])
def test_deep_grey_without_window_spans_the_whole_cine(dtype, build_dicom):
    first = np.linspace(100, 600, SIZE[0] * SIZE[1]).astype(dtype).reshape(SIZE)
    cine = read_dicom(build_dicom(np.stack([first, first + 500])))
    dark, bright = (frame.pixels for frame in cine.frames())
    assert (dark.min(), dark.max(), bright.min(), bright.max()) == (0, 127, 127, 255) or dark.max() == 128
    np.testing.assert_array_equal(cine.frame(1).pixels, bright)
