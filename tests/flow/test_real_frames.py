"""Real ultrasound that shows no adult hip view: read, nothing located, never graded."""

import pytest

from datasets.files import list_files, read_frames
from model.reading import Reader
from model.runtime import Session

FOLDERS = [
    "ultrasound-dicom",
    "other-anatomy/infant-hip",
    "other-anatomy/leg-muscle",
    "other-anatomy/leg-muscle-cine",
    "regional-anaesthesia/images",
]
CLAIMED = 0.01
"""The share of readings that may claim a hip structure; of frames seen in training, fewer than of those kept out."""


@pytest.fixture(scope="module")
def reader():
    return Reader(Session())


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_frame_of_another_region_claims_no_hip(shared_data, reader, folder):
    files = list_files(shared_data / folder)
    assert len(files) >= 24
    graded, claimed, count = [], [], 0
    for path in files:
        for frame in read_frames(path):
            count += 1
            reading = reader.read(frame)
            solar = reading.solar
            if reading.structures or reading.landmarks or reading.targets:
                claimed.append((path.name, frame.index))
            if solar.gsus.grade is not None or solar.combined.grade is not None:
                graded.append((path.name, frame.index))
            assert solar.gsus.grade is not None or solar.gsus.reason
    assert count >= len(files)
    assert graded == []
    assert len(claimed) <= CLAIMED * count, claimed
