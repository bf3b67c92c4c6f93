"""Flow in DICOM files: RGB, palette and JPEG's YBR give the drawn share, a region tells that Doppler was on."""

import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit

from datasets.dicom import read_dicom
from model.doppler import find_flow, measure_flow
from tests.datasets.conftest import palette_tags
from tests.model import flow_pictures as pictures


@pytest.fixture(scope="module")
def hips():
    return pictures.hips(9_300_000, 3)


def in_few_colours(rgb):
    """The picture in at most 256 colours: grey in steps of 2, others in steps of 16."""
    is_grey = np.ptp(rgb, axis=2) == 0
    return np.where(is_grey[..., None], rgb & 0xFE, rgb & 0xF0).astype(np.uint8)


@pytest.fixture(params=["RGB", "PALETTE COLOR", "YBR_FULL_422"])
def packed(request, build_dicom):
    def pack(rgb, regions=()) -> bytes:
        if request.param == "PALETTE COLOR":
            colours, stored = np.unique(in_few_colours(rgb).reshape(-1, 3), axis=0, return_inverse=True)
            table = np.zeros((256, 3), int)
            table[: len(colours)] = colours
            stored = stored.reshape(rgb.shape[:2]).astype(np.uint8)
            return build_dicom(stored, request.param, regions, **palette_tags(table * 257))
        if request.param == "YBR_FULL_422":
            data = encapsulate([pictures.as_jpeg(rgb, 90)])
            return build_dicom(rgb, request.param, regions, syntax=JPEGBaseline8Bit, PixelData=data)
        return build_dicom(rgb, request.param, regions)

    return pack


def fraction(file, hip):
    flow = find_flow(read_dicom(file).frame(0), hip.sector)
    return None if flow is None else measure_flow(flow, hip.found).fraction


def test_the_drawn_fraction_comes_through_every_packing(packed, hips):
    for seed, hip in enumerate(hips):
        rng = np.random.default_rng(seed)
        rgb, drawn = pictures.with_doppler(hip, 0.15, rng)
        assert fraction(packed(rgb), hip) == pytest.approx(drawn, abs=0.03)
        rgb = pictures.with_label(pictures.with_calipers(rgb, hip, rng), hip)
        assert fraction(packed(rgb), hip) == pytest.approx(drawn, abs=0.03)


def test_graphics_and_tints_come_through_as_no_doppler(packed, hips):
    for seed, hip in enumerate(hips):
        drawn_over = pictures.with_calipers(hip.plain, hip, np.random.default_rng(seed))
        assert fraction(packed(pictures.with_label(drawn_over, hip)), hip) is None
        assert fraction(packed(pictures.sepia(hip.plain)), hip) is None


def test_a_flow_region_tells_that_doppler_was_on(packed, build_region, hips):
    hip = hips[0]
    labelled = pictures.with_label(hip.plain, hip)
    tissue, flow = build_region(*hip.sector), build_region(*pictures.box_around(hip), kind=2)
    assert fraction(packed(labelled, [tissue]), hip) is None
    assert fraction(packed(labelled, [tissue, flow]), hip) == 0
    assert [region.shows_flow for region in read_dicom(packed(labelled, [tissue, flow])).regions] == [False, True]
