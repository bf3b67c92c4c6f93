"""Real ultrasound that shows no adult hip view: read, and never graded."""

import pytest

from datasets.files import list_files, read_frames
from model.reading import Reader
from model.runtime import Session

FOLDERS = ["ultrasound-dicom", "other-anatomy/infant-hip", "other-anatomy/leg-muscle", "other-anatomy/leg-muscle-cine"]


@pytest.fixture(scope="module")
def reader():
    return Reader(Session())


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_frame_of_another_region_yields_a_grade(shared_data, reader, folder):
    files = list_files(shared_data / folder)
    assert len(files) >= 24
    graded, count = [], 0
    for path in files:
        for frame in read_frames(path):
            count += 1
            solar = reader.read(frame).solar
            if solar.gsus.grade is not None or solar.combined.grade is not None:
                graded.append((path.name, frame.index))
            assert solar.gsus.grade is not None or solar.gsus.reason
    assert count >= len(files)
    assert graded == []
