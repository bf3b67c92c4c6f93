"""A researcher's own pictures become a data set: classes mapped, patients named, nothing guessed."""

import cv2
import numpy as np
import pytest

from datasets.check import check_store
from datasets.importing import ImportPlan, import_samples, parse_classes
from datasets.palette import encode_mask
from datasets.sample import ALL_LABELLED, VESSEL, VESSEL_ID
from datasets.split import part_samples, split_patients
from datasets.store import open_store, write_store
from model.anatomy import LANDMARK_NAMES, View


@pytest.fixture
def scans(tmp_path):
    """Two patients with two pictures each and masks of values 0 to 3."""
    rng = np.random.default_rng(0)
    for patient in ("anna", "ben"):
        for folder in ("pictures", "masks"):
            (tmp_path / folder / patient).mkdir(parents=True)
        for k in range(2):
            picture = rng.integers(0, 255, (60, 80), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / "pictures" / patient / f"{k}.png"), picture)
            mask = np.zeros((60, 80), np.uint8)
            mask[10:20, 10:30], mask[30:40, 40:50], mask[50:, :5] = 1, 2, 3
            (tmp_path / "masks" / patient / f"{k}.png").write_bytes(encode_mask(mask))
    (tmp_path / "pictures" / "notes.txt").write_text("not a picture")
    return tmp_path


def test_values_become_classes_and_the_rest_stays_unsaid(scans):
    plan = ImportPlan(scans / "pictures", scans / "masks", parse_classes("2=vessel"), patient="^[a-z]+")
    first, *_ = samples = list(import_samples(plan))
    assert [s.patient_id for s in samples] == ["anna", "anna", "ben", "ben"]
    assert first.truth.labelled == (VESSEL,)
    assert set(np.unique(first.truth.mask)) == {0, VESSEL_ID}
    assert (first.truth.mask[30:40, 40:50] == VESSEL_ID).all()
    assert first.frame.source == "anna/0.png"


def test_a_drawn_structure_gives_its_centroid(scans):
    plan = ImportPlan(scans / "pictures", scans / "masks", {1: "femoral_artery"}, View.INFEROMEDIAL)
    sample = next(import_samples(plan))
    assert sample.truth.landmarks_xy[LANDMARK_NAMES.index("femoral_artery")] == pytest.approx([19.5, 14.5])
    assert np.isfinite(sample.truth.landmarks_xy).sum() == 2


def test_without_masks_everything_is_labelled_and_empty(scans):
    sample = next(import_samples(ImportPlan(scans / "pictures")))
    assert sample.truth.labelled == ALL_LABELLED
    assert not sample.truth.mask.any()
    assert sample.patient_id == "anna/0.png"


def test_a_written_set_has_no_defect_and_its_parts_are_sets(scans, tmp_path):
    plan = ImportPlan(scans / "pictures", scans / "masks", {2: VESSEL}, patient="^[a-z]+")
    write_store(import_samples(plan), tmp_path / "set", provenance="test", licence="none")
    assert check_store(tmp_path / "set") == ()
    store = open_store(tmp_path / "set")
    split = split_patients(store, (0.5, 0.0, 0.5), seed=3)
    parts = [list(part_samples(store, split, part)) for part in ("train", "calibration")]
    assert {s.patient_id for s in parts[0]}.isdisjoint({s.patient_id for s in parts[1]})
    assert sum(map(len, parts)) == 4


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"classes": {2: "nerve"}}, "unknown classes"),
        ({"masks": None}, "belong together"),
        ({"patient": "^(patient-[0-9]+)"}, "finds no patient"),
    ],
)
def test_what_cannot_be_meant_is_refused(scans, change, told):
    words = {"masks": scans / "masks", "classes": {2: VESSEL}, **change}
    with pytest.raises(ValueError, match=told):
        list(import_samples(ImportPlan(scans / "pictures", **words)))


def test_a_missing_or_wrong_mask_names_its_picture(scans):
    plan = ImportPlan(scans / "pictures", scans / "masks", {2: VESSEL})
    (scans / "masks" / "ben" / "1.png").write_bytes(encode_mask(np.zeros((10, 10), np.uint8)))
    with pytest.raises(ValueError, match=r"10x10.*80x60"):
        list(import_samples(plan))
    (scans / "masks" / "ben" / "1.png").unlink()
    with pytest.raises(ValueError, match="has no mask"):
        list(import_samples(plan))


@pytest.mark.parametrize("text", ["vessel", "x=vessel", "1=2=3"])
def test_classes_that_cannot_be_read(text):
    with pytest.raises(ValueError, match="VALUE=NAME"):
        parse_classes(text)
