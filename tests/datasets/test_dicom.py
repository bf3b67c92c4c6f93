"""The DICOM reader over generated files: calibration, colours, depths, side, age, timing and refusals."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import MPEG2MPML, BasicTextSRStorage, RLELossless

from datasets.dicom import read_dicom
from datasets.picture import MAX_PIXELS, UnreadableFile
from model.anatomy import Laterality
from model.frame import MAX_SPACING_MM, Region

SIZE = (60, 84)
GREY = np.zeros(SIZE, np.uint8)
deltas = st.floats(1e-4, MAX_SPACING_MM / 10) | st.floats(-MAX_SPACING_MM / 10, -1e-4)


@settings(max_examples=60)
@given(items=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 30), deltas, deltas), min_size=1, max_size=4))
def test_millimetres_are_the_size_of_the_deltas_whatever_their_sign(items, build_dicom, build_region):
    regions = [build_region(x, y, x + 43, y + 29, dx, dy) for x, y, dx, dy in items]
    frame = read_dicom(build_dicom(GREY, regions=regions)).frame(0)
    assert frame.spacing_source == "dicom-region"
    assert not frame.warnings
    for region, (x, y, dx, dy) in zip(frame.regions, items, strict=True):
        assert (region.x0, region.y0, region.x1, region.y1) == (x, y, x + 43, y + 29)
        assert region.spacing_mm == pytest.approx((abs(dy) * 10, abs(dx) * 10))


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({"units": (3, 4)}, "centimetres"),
        ({"units": (0, 0)}, "centimetres"),
        ({"dx": 0.0}, "spacing"),
        ({"dy": 9.0}, "spacing"),
        ({"x1": 200}, "outside the picture"),
        ({"y1": 62}, "outside the picture"),
    ],
)
def test_a_doubtful_scale_is_no_scale(item, reason, build_dicom, build_region):
    frame = read_dicom(build_dicom(GREY, regions=[build_region(**item)])).frame(0)
    assert [region.spacing_mm for region in frame.regions] == [None]
    assert frame.regions[0].x1 < SIZE[1]
    assert frame.regions[0].y1 < SIZE[0]
    assert frame.spacing_source is None
    assert reason in frame.warnings[0]


def test_a_bound_one_past_the_last_pixel_is_the_last_pixel(build_dicom, build_region):
    frame = read_dicom(build_dicom(GREY, regions=[build_region(0, 0, SIZE[1], SIZE[0])])).frame(0)
    assert frame.regions == (Region(0, 0, SIZE[1] - 1, SIZE[0] - 1, (0.2, 0.1)),)


@pytest.mark.parametrize(
    ("spatial", "kind"), [(0, 0), (0, 1), (2, 1), (3, 3), (4, 10), (5, 1), (1, 13), (1, 14), (1, 10), (1, 3)]
)
def test_what_is_not_tissue_in_two_dimensions_is_no_region(spatial, kind, build_dicom, build_region):
    frame = read_dicom(build_dicom(GREY, regions=[build_region(spatial=spatial, kind=kind)])).frame(0)
    assert frame.regions == ()
    assert frame.spacing_source is None


def test_colour_flow_is_a_region_beside_tissue(build_dicom, build_region):
    items = [build_region(spatial=0, kind=13), build_region(), build_region(10, 10, 20, 20, 0.03, 0.03, kind=2)]
    frame = read_dicom(build_dicom(GREY, regions=items)).frame(0)
    assert frame.spacing_at(5, 5) == pytest.approx((0.2, 0.1))
    assert frame.spacing_at(15, 15) == pytest.approx((0.3, 0.3))
    assert frame.spacing_at(70, 50) is None


def test_broken_regions_are_passed_by(build_dicom, build_region):
    bare = Dataset()
    bare.RegionSpatialFormat, bare.RegionDataType = 1, 1
    frame = read_dicom(
        build_dicom(GREY, regions=[bare, build_region(300, 0, 400, 40), build_region(9, 9, 5, 5)])
    ).frame(0)
    assert frame.regions == ()
    assert len(frame.warnings) == 3


def test_pixel_spacing_alone_gives_no_millimetres(build_dicom):
    frame = read_dicom(build_dicom(GREY, PixelSpacing=[0.1, 0.1])).frame(0)
    assert frame.regions == ()
    assert "PixelSpacing is not used" in frame.warnings[0]


@pytest.mark.parametrize(
    ("tags", "side"),
    [
        ({"ImageLaterality": "L"}, Laterality.LEFT),
        ({"Laterality": "R"}, Laterality.RIGHT),
        ({"ImageLaterality": "B"}, Laterality.UNKNOWN),
        ({"ImageLaterality": "U", "Laterality": "L"}, Laterality.LEFT),
        ({"ImageLaterality": "R", "Laterality": "L"}, Laterality.UNKNOWN),
        ({}, Laterality.UNKNOWN),
    ],
)
def test_the_side_comes_from_the_file(tags, side, build_dicom):
    assert read_dicom(build_dicom(GREY, **tags)).frame(0).laterality is side


def test_the_side_may_be_a_code_or_a_frame_attribute(build_dicom):
    modifier, region, anatomy, shared = (Dataset() for _ in range(4))
    modifier.CodeValue = "24028007"
    region.AnatomicRegionModifierSequence = [modifier]
    assert read_dicom(build_dicom(GREY, AnatomicRegionSequence=[region])).laterality is Laterality.RIGHT
    anatomy.FrameLaterality = "L"
    shared.FrameAnatomySequence = [anatomy]
    assert read_dicom(build_dicom(GREY, SharedFunctionalGroupsSequence=[shared])).laterality is Laterality.LEFT


@pytest.mark.parametrize(
    ("tags", "years"),
    [
        ({"PatientAge": "045Y"}, 45),
        ({"PatientAge": "006M"}, 0.5),
        ({"PatientAge": "010W"}, 70 / 365.2425),
        ({"PatientAge": "003D"}, 3 / 365.2425),
        ({"PatientBirthDate": "20000301", "StudyDate": "20100301"}, 10),
        ({"PatientBirthDate": "20100301", "StudyDate": "20000301"}, None),
        ({"PatientBirthDate": "20100301"}, None),
        ({"PatientAge": "045"}, None),
        ({}, None),
    ],
)
def test_age(tags, years, build_dicom):
    got = read_dicom(build_dicom(GREY, **tags)).age_years
    assert got is None if years is None else got == pytest.approx(years, abs=0.01)


@pytest.mark.parametrize(
    ("tags", "time_ms"),
    [
        ({"FrameTime": "33.3"}, 33.3),
        ({"FrameTimeVector": [0, 20, 40]}, 30),
        ({"CineRate": 25}, 40),
        ({"FrameTime": "0"}, None),
        ({}, None),
    ],
)
def test_frame_time(tags, time_ms, build_dicom):
    assert read_dicom(build_dicom(np.stack([GREY, GREY]), **tags)).frame_time_ms == time_ms


def test_identity_and_size(build_dicom):
    cine = read_dicom(build_dicom(np.stack([GREY] * 3), StudyInstanceUID="1.2.3"), name="clip")
    assert (cine.source, len(cine), cine.width, cine.height) == ("clip", 3, 84, 60)
    assert (cine.identity.patient_id, cine.identity.study_uid, cine.identity.series_uid) == ("p1", "1.2.3", "")
    assert [frame.index for frame in cine.frames()] == [0, 1, 2]
    with pytest.raises(IndexError, match="frames 0 to 2"):
        cine.frame(3)


def test_a_file_without_preamble_is_read(build_dicom, scan_pixels, tmp_path: Path):
    whole = build_dicom(scan_pixels)
    np.testing.assert_array_equal(read_dicom(whole[132:]).frame(0).pixels, scan_pixels)
    bare = whole[whole.index(b"\x08\x00\x16\x00UI") :]
    (tmp_path / "bare.dcm").write_bytes(bare)
    np.testing.assert_array_equal(read_dicom(tmp_path / "bare.dcm").frame(0).pixels, scan_pixels)


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"Rows": 60000, "Columns": 60000}, f"{MAX_PIXELS}"),
        ({"NumberOfFrames": 2_000_000_000}, "frames of at most"),
        ({"Rows": 0}, "at least 32"),
        ({"Rows": 61}, "cut short"),
        ({"PhotometricInterpretation": "YBR_PARTIAL_420"}, "YBR_PARTIAL_420"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "colours cannot be told"),
    ],
)
def test_refusals_say_why(tags, reason, build_dicom):
    with pytest.raises(UnreadableFile, match=reason):
        read_dicom(build_dicom(GREY, **tags), name="x.dcm")


def saved(dataset: Dataset) -> bytes:
    file = io.BytesIO()
    dataset.save_as(file)
    return file.getvalue()


def test_a_report_is_no_picture(build_dicom):
    report = dcmread(io.BytesIO(build_dicom(GREY)))
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = BasicTextSRStorage
    for name in ("PixelData", "Rows", "Columns"):
        delattr(report, name)
    with pytest.raises(UnreadableFile, match="Basic Text SR"):
        read_dicom(saved(report))


def test_a_video_in_dicom_is_refused_with_a_remedy(build_dicom):
    video = dcmread(io.BytesIO(build_dicom(GREY)))
    video.file_meta.TransferSyntaxUID = MPEG2MPML
    video.PixelData = encapsulate([b"\0\0\1\xb3"])
    with pytest.raises(UnreadableFile, match=r"MPEG2.*MP4"):
        read_dicom(saved(video))


def test_a_header_without_pixels_is_refused(build_dicom):
    file = build_dicom(GREY)
    with pytest.raises(UnreadableFile, match="no pixels follow"):
        read_dicom(file[: file.index(b"\xe0\x7f\x10\x00")])


@pytest.mark.parametrize("data", [b"", b"hello", b"\0" * 500, bytes(range(256)) * 4])
def test_rubbish_is_refused(data):
    with pytest.raises(UnreadableFile):
        read_dicom(data, name="rubbish")


def test_a_missing_file_is_refused_by_name(tmp_path: Path):
    with pytest.raises(UnreadableFile, match=r"gone\.dcm"):
        read_dicom(tmp_path / "gone.dcm")


@settings(max_examples=150)
@given(
    cut=st.floats(0.02, 1),
    flips=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=4),
    packed=st.booleans(),
)
def test_broken_files_fail_in_one_way_only(cut, flips, packed, build_dicom, scan_pixels, build_region):
    file = build_dicom(np.stack([scan_pixels, scan_pixels]), regions=[build_region()])
    if packed:
        dataset = dcmread(io.BytesIO(file))
        dataset.compress(RLELossless)
        file = saved(dataset)
    broken = bytearray(file[: int(len(file) * cut)])
    for where, value in flips:
        broken[int(where * len(broken))] = value
    try:
        frames = list(read_dicom(bytes(broken)).frames())
    except UnreadableFile as error:
        reason = str(error)
    else:
        reason = "DICOM data: read" if frames else ""
    assert reason.startswith("DICOM data: ")
    assert len(reason) < 600
