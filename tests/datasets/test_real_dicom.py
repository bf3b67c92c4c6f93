"""Every real ultrasound file: read or refused for a reason, with the millimetres its regions say and no others."""

import io
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.encaps import generate_frames

from datasets.dicom import read_dicom
from datasets.files import FileKind, decode_picture, kind_of, read_frames
from model.anatomy import Laterality
from model.doppler import find_flow
from model.preprocess import find_sector

FILES = {
    "cornerstone3D/no-pixel-spacing.dcm": 1,
    "dcm4che/US-PAL-8-10x-echo": 10,
    "dcm4che/US-RGB-8-esopecho": 1,
    "dcm4che/YBR_422.dcm": 1,
    "dcm4che/YBR_FULL-RLE.dcm": 1,
    "dcm4che/jpeg-ls-Palette.dcm": 10,
    "fo-dicom/GH364.dcm": 1,
    "pydicom-data/JPGLosslessP14SV1_1s_1f_8b.dcm": 1,
    "pydicom-data/OBXXXX1A.dcm": 1,
    "pydicom-data/OBXXXX1A_2frame.dcm": 2,
    "pydicom-data/OBXXXX1A_expb.dcm": 1,
    "pydicom-data/OBXXXX1A_rle_2frame.dcm": 2,
    "pydicom-data/US1_J2KI.dcm": 1,
    "pydicom-data/US1_UNCI.dcm": 1,
    "pydicom-data/US1_UNCR.dcm": 1,
    "pydicom-data/color-pl.dcm": 1,
    "pydicom-data/color-px.dcm": 1,
    "pydicom-data/gdcm-US-ALOKA-16.dcm": 1,
    "pydicom-data/gdcm-US-ALOKA-16_big.dcm": 1,
    "pydicom/ExplVR_BigEnd.dcm": 1,
    "pydicom/examples_jpeg2k.dcm": 1,
    "pydicom/examples_palette.dcm": 1,
    "pydicom/examples_rgb_color.dcm": 1,
    "pydicom/examples_ybr_color.dcm": 30,
}
"""File -> number of frames."""


@pytest.fixture
def scans(shared_data: Path) -> Path:
    return shared_data / "ultrasound-dicom"


def pixels_of(path: Path, index: int = 0) -> np.ndarray:
    return read_dicom(path).frame(index).pixels


def test_no_file_is_forgotten(scans: Path):
    found = {str(path.relative_to(scans)) for path in scans.rglob("*") if path.is_file()}
    assert {name for name in found if "LICENSE" not in name.upper()} == set(FILES)


def expected_spacings(header: pydicom.Dataset) -> list[tuple[float, float] | None]:
    """Worked out here from the raw elements, by number, apart from the reader."""
    spacings: list[tuple[float, float] | None] = []
    for item in header[0x0018, 0x6011].value if (0x0018, 0x6011) in header else []:
        if item[0x0018, 0x6012].value != 1 or item[0x0018, 0x6014].value not in (1, 2):
            continue
        inside = item[0x0018, 0x601C].value <= header.Columns and item[0x0018, 0x601E].value <= header.Rows
        in_cm = item[0x0018, 0x6024].value == 3 and item[0x0018, 0x6026].value == 3
        mm = (abs(item[0x0018, 0x602E].value) * 10, abs(item[0x0018, 0x602C].value) * 10)
        spacings.append(mm if inside and in_cm else None)
    return spacings


@pytest.mark.parametrize("name", FILES)
def test_each_file_is_read_with_the_scale_its_regions_say(name: str, scans: Path):
    header = pydicom.dcmread(scans / name, stop_before_pixels=True)
    frames = list(read_frames(scans / name))
    assert [frame.index for frame in frames] == list(range(FILES[name]))
    expected = expected_spacings(header)
    for frame in frames:
        assert (frame.height, frame.width) == (header.Rows, header.Columns)
        assert [region.spacing_mm for region in frame.regions] == expected
        assert frame.spacing_source == ("dicom-region" if any(expected) else None)
        assert np.ptp(frame.grey) > 50, "a scan is not empty"
    assert kind_of((scans / name).read_bytes()[:1024]) is FileKind.DICOM


@pytest.mark.parametrize("name", FILES)
def test_bytes_and_single_frames_give_the_same_pixels(name: str, scans: Path):
    path = scans / name
    whole = [frame.pixels for frame in read_dicom(path.read_bytes()).frames()]
    np.testing.assert_array_equal(pixels_of(path, len(whole) - 1), whole[-1])


@pytest.mark.parametrize("name", FILES)
def test_half_a_file_is_refused(name: str, scans: Path):
    data = (scans / name).read_bytes()
    with pytest.raises(ValueError, match=r"broken|cut short"):
        list(read_frames(data[: len(data) // 2], name=name))


@pytest.mark.parametrize("name", ["pydicom/examples_ybr_color.dcm", "pydicom/examples_palette.dcm"])
def test_regions_beyond_the_picture_give_no_millimetres(name: str, scans: Path):
    frame = read_dicom(scans / name).frame(0)
    assert frame.spacing_at(frame.width / 2, frame.height - 20) is None
    assert any("outside the picture" in warning for warning in frame.warnings)


def test_the_first_region_is_not_always_the_image(scans: Path):
    frame = read_dicom(scans / "dcm4che/YBR_FULL-RLE.dcm").frame(0)
    assert len(frame.regions) == 1
    assert frame.spacing_at(300, 200) == pytest.approx((0.0953679, 0.0953679), abs=1e-6)
    assert frame.spacing_at(600, 200) is None


def test_two_panes_and_no_grey_bar(scans: Path):
    frame = read_dicom(scans / "pydicom-data/gdcm-US-ALOKA-16.dcm").frame(0)
    assert [(region.x0, region.x1) for region in frame.regions] == [(32, 335), (336, 639)]
    assert frame.laterality is Laterality.RIGHT


def test_an_ecg_is_no_place_to_measure(scans: Path):
    frame = read_dicom(scans / "pydicom-data/OBXXXX1A.dcm").frame(0)
    assert frame.spacing_at(400, 300) == pytest.approx((0.262288, 0.262288), abs=1e-6)
    assert frame.spacing_at(400, 550) is None


def test_power_doppler_without_calibration_keeps_its_colour(scans: Path):
    frame = read_dicom(scans / "pydicom-data/US1_UNCR.dcm").frame(0)
    assert frame.colour is not None
    assert frame.regions == ()
    flow = frame.colour[250:310, 60:300].astype(int)
    assert ((flow[..., 0] > 180) & (flow[..., 2] < 80)).any(), "flow is orange: red above blue"


def test_age_from_dates(scans: Path):
    assert read_dicom(scans / "fo-dicom/GH364.dcm").age_years == pytest.approx(63.58, abs=0.01)


@pytest.mark.parametrize(
    ("one", "other", "tolerance"),
    [
        ("pydicom-data/US1_UNCR.dcm", "pydicom/examples_jpeg2k.dcm", 0),
        ("pydicom-data/US1_UNCR.dcm", "pydicom-data/US1_UNCI.dcm", 4),
        ("pydicom-data/US1_UNCI.dcm", "pydicom-data/US1_J2KI.dcm", 4),
        ("pydicom-data/color-pl.dcm", "pydicom-data/color-px.dcm", 0),
        ("pydicom-data/color-px.dcm", "dcm4che/US-RGB-8-esopecho", 0),
        ("pydicom-data/OBXXXX1A.dcm", "pydicom-data/OBXXXX1A_expb.dcm", 0),
        ("pydicom-data/OBXXXX1A.dcm", "pydicom-data/OBXXXX1A_2frame.dcm", 0),
        ("pydicom-data/OBXXXX1A_2frame.dcm", "pydicom-data/OBXXXX1A_rle_2frame.dcm", 0),
        ("pydicom-data/gdcm-US-ALOKA-16.dcm", "pydicom-data/gdcm-US-ALOKA-16_big.dcm", 0),
        ("dcm4che/US-PAL-8-10x-echo", "dcm4che/jpeg-ls-Palette.dcm", 0),
    ],
)
def test_one_scan_packed_in_two_ways_is_one_picture(one: str, other: str, tolerance: int, scans: Path):
    difference = np.abs(pixels_of(scans / one).astype(int) - pixels_of(scans / other).astype(int))
    assert difference.mean() <= tolerance


def test_a_real_jpeg_cine_has_the_colours_that_another_decoder_sees(scans: Path):
    path = scans / "pydicom/examples_ybr_color.dcm"
    packed = generate_frames(pydicom.dcmread(path).PixelData, number_of_frames=30)
    for frame, data in zip(read_dicom(path).frames(), packed, strict=True):
        reference = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        assert np.abs(frame.pixels.astype(int) - reference).mean() < 2


def test_a_cine_is_not_held_in_memory_at_once(scans: Path):
    frames = read_dicom(io.BytesIO((scans / "pydicom/examples_ybr_color.dcm").read_bytes()).getvalue()).frames()
    assert next(frames).index == 0
    frames.close()


def flow_share(frame):
    """The share of the sector that is flow, None where no Doppler picture is seen."""
    flow = find_flow(frame, find_sector(frame))
    return None if flow is None else float(flow.mean())


DOPPLER = (
    "pydicom-data/US1_UNCR.dcm",
    "pydicom-data/US1_UNCI.dcm",
    "pydicom-data/US1_J2KI.dcm",
    "pydicom/examples_jpeg2k.dcm",
    "pydicom/examples_rgb_color.dcm",
    "dcm4che/US-PAL-8-10x-echo",
    "dcm4che/jpeg-ls-Palette.dcm",
    "dcm4che/US-RGB-8-esopecho",
    "pydicom-data/color-pl.dcm",
    "pydicom-data/color-px.dcm",
    "pydicom/ExplVR_BigEnd.dcm",
)


def test_doppler_is_seen_in_every_scan_that_has_it_and_in_no_other(scans: Path):
    for path in (path for path in sorted(scans.rglob("*")) if path.is_file()):
        name = path.relative_to(scans).as_posix()
        assert (flow_share(read_dicom(path).frame(0)) is not None) == (name in DOPPLER), name


def test_a_scan_has_as_much_flow_as_its_jpeg_and_its_half_size(scans: Path):
    whole = flow_share(read_dicom(scans / "pydicom-data/US1_UNCR.dcm").frame(0))
    assert flow_share(read_dicom(scans / "pydicom-data/US1_UNCI.dcm").frame(0)) == pytest.approx(whole, rel=0.05)
    assert flow_share(read_dicom(scans / "pydicom/examples_rgb_color.dcm").frame(0)) == pytest.approx(whole, rel=0.15)


def test_no_still_of_another_anatomy_shows_doppler(shared_data: Path):
    for path in sorted((shared_data / "other-anatomy").rglob("*.*g")):
        assert flow_share(decode_picture(path.read_bytes())) is None, path.name
