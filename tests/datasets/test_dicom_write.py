"""Phantoms as DICOM: the same pixels and millimetres come back, and an independent validator finds no error."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from datasets.dicom import read_dicom
from datasets.dicom_write import NOTICE, write_dicom
from datasets.sample import Acquisition, Sample, Truth
from model.anatomy import LANDMARK_NAMES, Laterality, View
from model.frame import Frame, Region, whole_frame

NOWHERE = np.full((len(LANDMARK_NAMES), 2), np.nan)
SYNTAXES = (ExplicitVRLittleEndian, RLELossless, JPEG2000Lossless)


def sample(pixels: np.ndarray, regions=(), index: int = 0, **frame) -> Sample:
    picture = Frame(pixels, regions, "phantom", "phantom", index, **frame)
    taken = Acquisition("linear", depth_mm=45.4, frequency_mhz=9.5)
    return Sample(picture, Truth(View.LONGITUDINAL, None, NOWHERE), "phantom-7", "phantom-7-study", acquisition=taken)


def cine(pixels: np.ndarray, count: int, regions=()) -> list[Sample]:
    return [sample(np.roll(pixels, k, axis=1), regions, k, laterality=Laterality.LEFT) for k in range(count)]


def test_colour_alone_does_not_say_that_doppler_was_on(colour_pixels, tmp_path: Path):
    regions = (Region(4, 3, 80, 55), Region(10, 10, 40, 40, shows_flow=True))
    write_dicom([sample(colour_pixels, regions)], tmp_path / "a.dcm")
    assert read_dicom(tmp_path / "a.dcm").regions == regions


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: uid.keyword)
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("is_colour", [False, True])
def test_pixels_and_scale_come_back(syntax, count, is_colour, scan_pixels, colour_pixels, tmp_path: Path):
    pixels = colour_pixels if is_colour else scan_pixels
    regions = (Region(4, 3, 80, 55, (0.0817, 0.0612)),)
    written = cine(pixels, count, regions)
    write_dicom(written, tmp_path / "a.dcm", frame_time_ms=33.3, transfer_syntax=syntax)
    read = read_dicom(tmp_path / "a.dcm")
    assert read.transfer_syntax == syntax
    assert read.frame_time_ms == (None if count == 1 else pytest.approx(33.3))
    for got, expected in zip(read.frames(), written, strict=True):
        np.testing.assert_array_equal(got.pixels, expected.frame.pixels)
        assert got.regions[0].spacing_mm == pytest.approx(regions[0].spacing_mm, rel=1e-12)
        assert (got.regions[0].x0, got.regions[0].y1) == (4, 55)
        assert got.laterality is Laterality.LEFT
        assert not got.warnings


@settings(max_examples=30)
@given(row=st.floats(0.005, 2), column=st.floats(0.005, 2), age=st.floats(0, 99))
def test_any_scale_and_age(row, column, age, tmp_path_factory):
    path = tmp_path_factory.mktemp("dcm") / "a.dcm"
    write_dicom([sample(np.zeros((41, 37), np.uint8), whole_frame(37, 41, (row, column)), age_years=age)], path)
    frame = read_dicom(path).frame(0)
    assert frame.spacing_at(5, 5) == pytest.approx((row, column), rel=1e-12)
    assert frame.age_years == pytest.approx(age, abs=1 / 12 if age < 18 else 1)


def test_no_scale_stays_no_scale(scan_pixels, tmp_path: Path):
    write_dicom([sample(scan_pixels)], tmp_path / "a.dcm")
    assert read_dicom(tmp_path / "a.dcm").frame(0).spacing_source is None


def test_it_says_that_it_shows_no_patient(scan_pixels, tmp_path: Path):
    write_dicom([sample(scan_pixels)], tmp_path / "a.dcm")
    header = pydicom.dcmread(tmp_path / "a.dcm")
    assert NOTICE in header.StudyDescription
    assert NOTICE in header.SeriesDescription
    assert list(header.ImageType) == ["DERIVED", "PRIMARY"]
    assert header.PatientID == "phantom-7"


def test_the_same_samples_give_the_same_file(scan_pixels, tmp_path: Path):
    for name in ("a", "b"):
        write_dicom(cine(scan_pixels, 2), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_is_no_cine_is_refused(scan_pixels, tmp_path: Path):
    with pytest.raises(ValueError, match="at least one"):
        write_dicom([], tmp_path / "a.dcm")
    with pytest.raises(ValueError, match="share one shape"):
        write_dicom([sample(scan_pixels), sample(scan_pixels[:40])], tmp_path / "a.dcm")
    with pytest.raises(ValueError, match="transfer syntax"):
        write_dicom([sample(scan_pixels)], tmp_path / "a.dcm", transfer_syntax="1.2.3")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy not found: install dicom3tools")
@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: uid.keyword)
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("is_colour", [False, True])
def test_dciodvfy_finds_no_error(syntax, count, is_colour, scan_pixels, colour_pixels, tmp_path: Path):
    pixels = colour_pixels if is_colour else scan_pixels
    write_dicom(cine(pixels, count, whole_frame(84, 60, (0.08, 0.06))), tmp_path / "a.dcm", transfer_syntax=syntax)
    done = subprocess.run(["dciodvfy", str(tmp_path / "a.dcm")], capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if line.startswith(("Error", "Warning"))]
    assert not complaints, "\n".join(complaints)
    assert done.returncode == 0
