"""A researcher's own pictures become a data set: classes mapped, patients named, nothing guessed."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from datasets.check import check_store
from datasets.dicom_write import write_dicom
from datasets.files import FrameOptions
from datasets.importing import ImportPlan, import_samples, parse_classes
from datasets.label_table import read_label_table
from datasets.palette import encode_mask
from datasets.phantom.cine import cine
from datasets.sample import ALL_LABELLED, VESSEL, VESSEL_ID
from datasets.split import part_samples, split_patients
from datasets.store import open_store, write_store
from model.anatomy import LANDMARK_NAMES, POINT_LANDMARK_NAMES, Laterality, View
from tests import known_hips


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


def test_bone_that_was_drawn_says_nothing_of_points_that_nobody_told(scans):
    """Nor does a hip's picture without masks say that there is no bone in it."""
    drawn = next(import_samples(ImportPlan(scans / "pictures", scans / "masks", {1: "aiis"}, View.ILIOPECTINEAL)))
    assert drawn.truth.labelled == ("aiis",) and drawn.truth.pointed == ()
    bare = next(import_samples(ImportPlan(scans / "pictures", view=View.ILIOPECTINEAL)))
    assert bare.truth.mask is None and bare.truth.labelled == () and bare.truth.pointed == ()
    other = next(import_samples(ImportPlan(scans / "pictures")))
    assert other.truth.pointed == POINT_LANDMARK_NAMES


def table(scans, *lines):
    path = scans / "labels.csv"
    path.write_text("\n".join(lines))
    return read_label_table(path, scans / "pictures")


HEAD = "file,patient,view,spacing_mm,age_years,side,gsus,aiis_x,aiis_y"


def test_a_table_tells_what_a_picture_cannot(scans, tmp_path):
    lines = (HEAD, "anna/0.png,A,iliopectineal,0.08,9.5,left,,21.5,12", 'anna/1.png,A,iliopectineal,"0.08,0.1",,,,,',
             "ben/0.png,B,anterior_longitudinal,,12,right,2,,", "ben/1.png,,other,,,,,,")  # fmt: skip
    known = FrameOptions((0.2, 0.2), Laterality.UNKNOWN, 7.0)
    plan = ImportPlan(scans / "pictures", patient="^[a-z]+", known=known, table=table(scans, *lines))
    write_store(import_samples(plan), tmp_path / "set", provenance="test", licence="none")
    assert check_store(tmp_path / "set") == ()
    store = open_store(tmp_path / "set")
    first, second, third, last = (store.sample(k) for k in range(4))
    assert [s.patient_id for s in (first, second, third, last)] == ["A", "A", "B", "ben"]
    assert [s.frame.spacing_at(9, 9) for s in (first, second, third)] == [(0.08, 0.08), (0.08, 0.1), (0.2, 0.2)]
    assert [s.frame.age_years for s in (first, second, third)] == [9.5, 7, 12]
    assert (first.frame.laterality, third.truth.gsus, third.truth.view) == (Laterality.LEFT, 2, View.LONGITUDINAL)
    aiis = LANDMARK_NAMES.index("aiis")
    assert first.truth.landmarks_xy[aiis] == pytest.approx([21.5, 12])
    assert np.isnan(second.truth.landmarks_xy[aiis]).all() and second.truth.pointed == ("aiis",)
    assert last.truth.pointed == POINT_LANDMARK_NAMES and last.truth.mask is not None
    split = split_patients(store, (1.0, 0.0, 0.0), seed=3)
    write_store(part_samples(store, split, "train"), tmp_path / "part", provenance="test", licence="none")
    part = open_store(tmp_path / "part")
    told, again = ({one.source: replace(one, file="", mask=None) for one in each.records} for each in (store, part))
    assert told == again and len(told) == 4


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (("patient", "A"), "has no column file"),
        (("file,grade", "anna/0.png,1"), r"unknown or repeated columns \['grade'\]; known: file, frame"),
        (("file,aiis_x", "anna/0.png,1"), "aiis needs both columns"),
        (("file", "anna/7.png"), "row 2, column file: 'anna/7.png' is no file in"),
        (("file,gsus", "anna/0.png,4"), "row 2, column gsus: '4'; expected one of 0, 1, 2, 3"),
        (("file,view", "anna/0.png,front"), "row 2, column view: 'front'; expected one of iliopectineal"),
        (("file,side", "anna/0.png,up"), "row 2, column side: 'up'; expected one of left"),
        (("file,age_years", "anna/0.png,900"), "row 2: age_years is 0 to 130"),
        (("file,spacing_mm", "anna/0.png,0"), "row 2: "),
        (("file,spacing_mm", "anna/0.png,x"), "row 2: spacing_mm is ROW,COL"),
        (("file,spacing_mm", "anna/0.png,0.1,0.1"), "row 2: more cells than the header has columns"),
        (("file,aiis_x,aiis_y", "anna/0.png,1,"), "row 2: aiis has one coordinate"),
        (("file,aiis_x,aiis_y", "anna/0.png,1,nan"), "row 2, column aiis_y: 'nan'; expected a number"),
        (("file,frame", "anna/0.png,0.5"), "row 2, column frame: '0.5'"),
        (("file", "anna/0.png", "anna\\0.png"), "row 3: anna/0.png has a row already"),
    ],
)
def test_a_table_that_cannot_be_meant_says_where(scans, lines, told):
    with pytest.raises(ValueError, match=told):
        table(scans, *lines)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (("file", "anna/0.png"), "anna/1.png, frame 0 has no row in the table"),
        (("file,view,aiis_x,aiis_y", *(f"{p}/{k}.png,iliopectineal,80,5" for p in ("anna", "ben") for k in (0, 1))),
         r"row 2: aiis \(80, 5\) lies outside its picture of 80x60"),
    ],
)  # fmt: skip
def test_a_table_that_does_not_fit_its_pictures_says_where(scans, lines, told):
    with pytest.raises(ValueError, match=told):
        list(import_samples(ImportPlan(scans / "pictures", table=table(scans, *lines))))


def test_a_dicom_brings_its_patient_its_scale_and_a_mask_a_frame(tmp_path):
    shown = list(cine(known_hips.LONGITUDINAL, View.LONGITUDINAL, 3))
    first = shown[0].frame
    for folder in ("scans", "masks"):
        (tmp_path / folder).mkdir()
    write_dicom(shown, tmp_path / "scans" / "a.dcm")
    for k in range(3):
        mask = np.full((first.height, first.width), k, np.uint8)
        (tmp_path / "masks" / f"a-{k}.png").write_bytes(encode_mask(mask))
    plan = ImportPlan(tmp_path / "scans", tmp_path / "masks", {1: "femoral_neck"}, View.LONGITUDINAL)
    samples = list(import_samples(plan))
    assert {sample.patient_id for sample in samples} == {shown[0].patient_id}
    assert [bool(sample.truth.mask.any()) for sample in samples] == [False, True, False]
    assert samples[0].frame.spacing_at(first.width / 2, first.height / 2) is not None
    (tmp_path / "masks" / "a-2.png").unlink()
    (tmp_path / "masks" / "a.png").write_bytes(encode_mask(np.zeros((first.height, first.width), np.uint8)))
    with pytest.raises(ValueError, match=r"a\.dcm, its frame 2, has no mask .*a-2\.png"):
        list(import_samples(plan))


def test_what_fails_midway_leaves_nothing_behind(scans, tmp_path):
    (scans / "masks" / "ben" / "1.png").unlink()
    plan = ImportPlan(scans / "pictures", scans / "masks", {2: VESSEL})
    with pytest.raises(ValueError, match="has no mask"):
        write_store(import_samples(plan), tmp_path / "set", provenance="test", licence="none")
    assert list((tmp_path / "set").iterdir()) == []


def test_a_folder_without_pictures_is_no_data_set(tmp_path):
    (tmp_path / "notes.txt").write_text("not a picture")
    with pytest.raises(ValueError, match="holds no picture"):
        list(import_samples(ImportPlan(tmp_path)))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"classes": {2: "nerve"}}, "unknown classes"),
        ({"masks": None}, "belong together"),
        ({"patient": "^(patient-[0-9]+)"}, "finds no patient"),
        ({"classes": {2: "femoral_artery"}}, "of view other, where femoral_artery is never drawn: give --view"),
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
