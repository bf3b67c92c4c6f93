"""Readings of phantom files, and what is made of them."""

import shutil
import subprocess
from collections import Counter
from datetime import UTC, datetime

import pydicom
import pytest
from pydicom.uid import RLELossless

from datasets.dicom import read_dicom
from datasets.dicom_write import write_dicom
from datasets.phantom.cine import cine
from model.cine import CineGrade
from model.reading import Reader
from model.runtime import Session
from serving.dicom_out.codes import PRIVATE
from serving.dicom_out.origin import Making
from serving.dicom_out.seg import build_seg, segment
from serving.dicom_out.sr import Looked
from tests import known_hips

SEEDS = known_hips.BY_VIEW

needs_dciodvfy = pytest.mark.skipif(not shutil.which("dciodvfy"), reason="no dciodvfy: install dicom3tools")


@pytest.fixture(scope="package")
def reader():
    return Reader(Session())


@pytest.fixture(scope="package")
def making(reader):
    return Making(reader.model, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


@pytest.fixture(scope="package")
def read(reader, tmp_path_factory):
    """By view and number of frames: a file's header, its frames and their readings."""
    folder, made = tmp_path_factory.mktemp("origin"), {}
    for view, seed in SEEDS.items():
        for count in (1, 3):
            path = folder / f"{view}{count}.dcm"
            write_dicom(list(cine(seed, view, count)), path, transfer_syntax=RLELossless)
            frames = list(read_dicom(path).frames())
            header = pydicom.dcmread(path, stop_before_pixels=True)
            made[view, count] = header, frames, [reader.read(frame) for frame in frames]
    return made


def seg_of(case, making):
    header, frames, readings = case
    return build_seg(header, [one for reading in readings for one in segment(reading)], frames[0].laterality, making)


def looked(readings, age_years=None):
    """All readings shown, as of a file that has no other frame."""
    cine = CineGrade()
    for reading in readings:
        cine = cine.seen(reading.solar.gsus, reading.frame.index)
    views = Counter(reading.view.name for reading in readings)
    indices = tuple(reading.frame.index for reading in readings)
    return Looked(tuple(readings), indices, tuple(views.items()), cine, age_years)


def written(result, tmp_path):
    path = tmp_path / "result.dcm"
    result.save_as(path, enforce_file_format=True)
    return path


def complaints(path, of=("Error", "Warning")):
    """What the validator says, but for codes of our own scheme, which it cannot know."""
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, errors="replace", check=False)
    lines = (done.stdout + done.stderr).splitlines()
    assert lines, "the validator says at least what it looked at"
    return [line for line in lines if line.startswith(of) and PRIVATE not in line]
