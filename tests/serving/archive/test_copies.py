"""Of an instance that is there several times: a broken copy costs nothing where another one is whole."""

import shutil
from dataclasses import dataclass, replace

import pydicom
import pytest
from pydicom.uid import RLELossless

from datasets.inputs import File, Why
from model.anatomy import View
from serving.archive.parts import Parts
from serving.archive.plan import make_plan
from serving.archive.run import Job, grade
from serving.archive.study import Asked, read_study
from tests import known_hips
from tests.serving.archive.conftest import dicom, rows, silent


@pytest.fixture
def copies(tmp_path):
    """A cine of three frames three times: its last third blank, its last two thirds blank, and whole."""
    folder = tmp_path / "copies"
    dicom(folder / "c.dcm", known_hips.LONGITUDINAL, View.LONGITUDINAL, 3)
    packed = pydicom.dcmread(folder / "c.dcm")
    packed.compress(RLELossless)
    packed.save_as(folder / "c.dcm")
    content = (folder / "c.dcm").read_bytes()
    for name, thirds in (("a", 1), ("b", 2)):
        whole = len(content) * thirds // 3
        (folder / f"{name}.dcm").write_bytes(content[:whole] + bytes(len(content) - whole))
    return folder


def told(out):
    return {row["name"]: (row["why"], row["reason"]) for row in rows(out, "failures")}


def test_a_whole_copy_is_read_and_the_broken_ones_are_told(copies, tmp_path):
    shutil.copy(copies / "c.dcm", copies / "d.dcm")
    outcome = grade(Job(copies, tmp_path / "out", workers=1), silent)
    assert (outcome.frames, outcome.wrong) == (3, 2)
    assert {row["source"] for row in rows(tmp_path / "out", "readings")} == {"c.dcm"}
    failures = told(tmp_path / "out")
    assert set(failures) == {"a.dcm", "b.dcm", "d.dcm"}
    for name in ("a.dcm", "b.dcm"):
        why, reason = failures[name]
        assert why == Why.UNREADABLE and reason.endswith("; its copy c.dcm was read instead")
    assert failures["d.dcm"] == (Why.DUPLICATE, "the same instance as c.dcm")


def test_without_a_whole_copy_the_one_with_most_frames_stays(copies, tmp_path):
    (copies / "c.dcm").unlink()
    assert grade(Job(copies, tmp_path / "out", workers=1), silent).wrong == 2
    sources = [row["source"] for row in rows(tmp_path / "out", "readings")]
    assert set(sources) == {"b.dcm"} and len(sources) < 3
    assert "its copy b.dcm was read instead" in told(tmp_path / "out")["a.dcm"][1]
    assert "instead" not in told(tmp_path / "out")["b.dcm"][1]


def test_a_whole_copy_that_comes_later_is_read(copies, tmp_path):
    hidden = (copies / "c.dcm").rename(tmp_path / "c.dcm")
    grade(Job(copies, tmp_path / "out", workers=1), silent)
    hidden.rename(copies / "c.dcm")
    assert grade(Job(copies, tmp_path / "out", workers=1, resume=True), silent).frames == 3


@dataclass(frozen=True, slots=True)
class Unreachable(File):
    """A file on a disk that does not answer."""

    def source(self):
        raise ConnectionError("the share does not answer")


def test_a_copy_stands_in_for_what_is_out_of_reach_until_that_is_back(copies, tmp_path, reader):
    (study,) = make_plan(copies).studies
    (item,) = study.items
    far = replace(item, input=Unreachable("far.dcm", 1, 1, copies / "a.dcm"), copies=item.inputs[::-1])
    far = replace(study, items=(far,))
    read = read_study(far, reader, Asked())
    assert (read.readings.num_rows, read.failures[0].why) == (3, Why.OUT_OF_REACH)
    parts = Parts(tmp_path / "parts", "digest")
    parts.write(far, read)
    assert parts.line_up({parts.name(far): far}, ()).again == 1
