"""What is planned to be read, and what is told of the rest."""

import io
import shutil
import tarfile
import zipfile

import pydicom
import pytest
from pydicom.uid import RLELossless

from datasets.inputs import Why
from model.anatomy import View
from serving.archive.plan import make_plan
from serving.archive.run import Job, grade
from tests import known_hips
from tests.serving.archive.conftest import dicom


def test_of_copies_the_whole_one_is_read(tmp_path):
    dicom(tmp_path / "m.dcm", known_hips.ILIOPECTINEAL, View.ILIOPECTINEAL, 2)
    whole = pydicom.dcmread(tmp_path / "m.dcm")
    whole.compress(RLELossless)
    whole.save_as(tmp_path / "m.dcm")
    content = (tmp_path / "m.dcm").read_bytes()
    (tmp_path / "a.dcm").write_bytes(content[: len(content) * 3 // 4])
    shutil.copy(tmp_path / "m.dcm", tmp_path / "z.dcm")
    plan = make_plan(tmp_path)
    assert [item.input.name for study in plan.studies for item in study.items] == ["m.dcm"]
    assert [(one.name, one.why, one.reason) for one in plan.failures] == [
        (name, Why.DUPLICATE, "the same instance as m.dcm") for name in ("a.dcm", "z.dcm")
    ]


def packed_as(kind):
    inner = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(inner, "w") as file:
            file.writestr("hip.dcm", b"x")
    else:
        with tarfile.open(fileobj=inner, mode=kind) as file:
            file.addfile(tarfile.TarInfo("hip.dcm"), io.BytesIO())
    return inner.getvalue()


@pytest.mark.parametrize("kind", ["zip", "w", "w:gz", "w:bz2", "w:xz"])
def test_what_is_packed_twice_or_otherwise_is_told(tmp_path, kind):
    with zipfile.ZipFile(tmp_path / "studies.zip", "w") as outer:
        outer.writestr("inner", packed_as(kind))
    (told,) = make_plan(tmp_path).failures
    assert (told.name, told.why) == ("studies.zip!inner", Why.UNREADABLE)
    assert "unpack it" in told.reason


def test_a_document_packed_as_a_zip_is_none_of_ours(tmp_path):
    letter = io.BytesIO()
    with zipfile.ZipFile(letter, "w") as file:
        file.writestr("[Content_Types].xml", "")
    with zipfile.ZipFile(tmp_path / "studies.zip", "w") as outer:
        outer.writestr("letter.docx", letter.getvalue())
    (told,) = make_plan(tmp_path).failures
    assert told.why is Why.NOT_A_PICTURE


def test_the_plan_is_told_with_what_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("serving.archive.run.PLANNING_EVERY_S", -1.0)
    dicom(tmp_path / "in" / "a.dcm", known_hips.ILIOPECTINEAL, View.ILIOPECTINEAL, 2)
    dicom(tmp_path / "in" / "ct.dcm", 3_000_017, View.ILIOPECTINEAL, Modality="CT")
    shutil.copy(tmp_path / "in" / "a.dcm", tmp_path / "in" / "b.dcm")
    heard = []
    grade(Job(tmp_path / "in", tmp_path / "out", workers=1), heard.append)
    size = (tmp_path / "in" / "a.dcm").stat().st_size / 1e6
    assert heard[:3] == [f"{count} files looked at" for count in (1, 2, 3)]
    assert heard[3] == f"1 files of 1 studies, {size:.0f} MB, 2 frames; beside them 1 duplicate, 1 not ultrasound"
