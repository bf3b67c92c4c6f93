"""Every defect of a dataset is found and named with its file; a sound one has none."""

from pathlib import Path

import numpy as np
import orjson
import pytest

from datasets.palette import encode_frame, encode_mask
from datasets.sample import Sample, Truth
from datasets.store import check_store, write_store
from model.anatomy import LANDMARK_NAMES, View
from model.frame import Frame, whole_frame

SHAPE = (40, 50)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound dataset of two frames: one iliopectineal with an artery, one longitudinal without mask."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[10:15, 20:26] = 4
    landmarks = np.full((len(LANDMARK_NAMES), 2), np.nan)
    landmarks[LANDMARK_NAMES.index("femoral_artery")] = 22.5, 12
    nowhere = np.full_like(landmarks, np.nan)
    frame = Frame(np.full(SHAPE, 70, np.uint8), whole_frame(50, 40, (0.1, 0.1)), "phantom")
    samples = [
        Sample(frame, Truth(View.ILIOPECTINEAL, mask, landmarks), "p1", "s1"),
        Sample(frame, Truth(View.LONGITUDINAL, None, nowhere, gsus=2), "p2", "s2"),
    ]
    write_store(samples, tmp_path / "d", provenance="", licence="")
    return tmp_path / "d"


def change(folder: Path, line: int, **fields) -> None:
    path = folder / "records.jsonl"
    lines = [orjson.loads(text) for text in path.read_bytes().splitlines()]
    lines[line - 1] |= fields
    path.write_bytes(b"\n".join(orjson.dumps(fields) for fields in lines) + b"\n")


def only_defect(folder: Path) -> tuple[str, str]:
    defects = check_store(folder)
    assert len(defects) == 1, defects
    return defects[0].file, defects[0].problem


def test_a_sound_dataset_has_no_defect(folder: Path):
    assert check_store(folder) == ()


@pytest.mark.parametrize(
    ("line", "fields", "reason"),
    [
        (1, {"patient_id": ""}, "no split"),
        (1, {"patient_id": None}, "patient_id"),
        (2, {"gsus": 4}, "gsus is 4"),
        (2, {"pdus": "high"}, "pdus is 'high'"),
        (1, {"view": "sideways"}, "sideways"),
        (1, {"landmarks": {"femoral_artery": [55, 12]}}, "outside the frame"),
        (1, {"landmarks": {"femoral_artery": [1]}}, "two numbers"),
        (1, {"landmarks": {"acetabular_rim": [5, 5]}}, "does not belong to view"),
        (2, {"spacing_mm": [0.0, 0.1]}, "spacing"),
        (2, {"spacing_mm": [0.1, 50]}, "spacing"),
        (2, {"spacing_mm": None, "regions": [{"x0": 0, "y0": 0, "x1": 70, "y1": 9}]}, "reaches outside"),
        (2, {"age_years": 300}, "age_years"),
        (2, {"labelled": ["nose"]}, "nose"),
        (2, {"laterality": "up"}, "up"),
        (2, {"index": "first"}, "whole number"),
    ],
)
def test_defects_of_a_record_name_its_line(line, fields, reason, folder: Path):
    change(folder, line, **fields)
    defects = [defect for defect in check_store(folder) if defect.file == f"records.jsonl:{line}"]
    assert len(defects) == 1
    assert reason in defects[0].problem


def test_a_line_that_is_no_record(folder: Path):
    path = folder / "records.jsonl"
    path.write_bytes(path.read_bytes() + b"[1, 2]\n{broken\n")
    files = [defect.file for defect in check_store(folder)]
    assert files == ["records.jsonl:3", "records.jsonl:4", "dataset.json"]


@pytest.mark.parametrize(("file", "what"), [("frames/000001.png", "frame"), ("masks/000000.png", "mask")])
def test_missing_and_broken_pictures(file, what, folder: Path):
    data = (folder / file).read_bytes()
    (folder / file).write_bytes(data[: len(data) // 2])
    assert only_defect(folder)[0] == file
    (folder / file).unlink()
    assert only_defect(folder) == (file, f"the {what} is missing")


def test_sizes_that_differ(folder: Path):
    (folder / "frames/000001.png").write_bytes(encode_frame(np.zeros((33, 50), np.uint8)))
    assert only_defect(folder) == ("frames/000001.png", "it is 50 x 33, its record says 50 x 40")


@pytest.mark.parametrize(
    ("value", "reason"),
    [(77, "ids [77] are no structures"), (9, "structure anterior_recess does not belong to view iliopectineal")],
)
def test_masks_with_wrong_ids(value, reason, folder: Path):
    mask = np.zeros(SHAPE, np.uint8)
    mask[3, 3] = value
    (folder / "masks/000000.png").write_bytes(encode_mask(mask) if value < 77 else encode_frame(mask))
    file, problem = only_defect(folder)
    assert file == "masks/000000.png"
    assert problem == reason


def test_structures_in_a_frame_of_no_view(folder: Path):
    change(folder, 1, view="other", landmarks={})
    assert "nothing may be located" in only_defect(folder)[1]


def test_drawn_but_not_labelled(folder: Path):
    change(folder, 1, labelled=["femoral_vein"])
    assert "not among the labelled" in only_defect(folder)[1]


def test_a_picture_used_twice_and_one_not_used(folder: Path):
    change(folder, 2, file="frames/000000.png")
    problems = {defect.file: defect.problem for defect in check_store(folder)}
    assert "already the picture of line 1" in problems["records.jsonl:2"]
    assert "no record names it" in problems["frames/000001.png"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [({"version": 99}, "version 99"), ({"format": "other"}, "does not describe"), ({"frames": 7}, "7 frames")],
)
def test_the_description(fields, reason, folder: Path):
    path = folder / "dataset.json"
    path.write_bytes(orjson.dumps(orjson.loads(path.read_bytes()) | fields))
    file, problem = only_defect(folder)
    assert file == "dataset.json"
    assert reason in problem


def test_a_folder_that_is_no_dataset(tmp_path: Path):
    assert "is no dataset" in only_defect(tmp_path)[1]
