"""A study of many files is read in portions, and its hips are judged over all of them."""

import shutil

import pytest

from datasets.inputs import Why
from model.anatomy import View
from serving.archive import pool
from serving.archive.hips import Tally
from serving.archive.plan import make_plan
from serving.archive.pool import Died
from serving.archive.run import Job, grade
from serving.archive.study import Asked, read_study
from tests import known_hips
from tests.serving.archive.conftest import contents, dicom, rows, silent

FILES = 5


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A study of five pictures, three of them of the left hip, which is graded, in the middle and at the end."""
    folder = tmp_path_factory.mktemp("large")
    for k, side in enumerate("RLLRL"):
        seed, view = (
            (known_hips.LONGITUDINAL + k, View.LONGITUDINAL) if k else (known_hips.ILIOPECTINEAL, View.ILIOPECTINEAL)
        )
        dicom(folder / f"{k}.dcm", seed, view, ImageLaterality=side, StudyInstanceUID="1.2.3")
    return folder


@pytest.fixture
def in_pairs(monkeypatch):
    monkeypatch.setattr("serving.archive.plan.MAX_FRAMES", 2)


def test_a_portion_ends_before_it_has_too_many_frames_or_bytes(large, monkeypatch):
    assert [(study.portions, len(study.items)) for study in make_plan(large).studies] == [(1, FILES)]
    monkeypatch.setattr("serving.archive.plan.MAX_FRAMES", 2)
    plan = make_plan(large)
    assert [(study.portions, len(study.items)) for study in plan.studies] == [(3, 2), (3, 2), (3, 1)]
    assert plan.line.startswith(f"{FILES} files of 1 studies")
    monkeypatch.setattr("serving.archive.plan.MAX_FRAMES", FILES)
    monkeypatch.setattr("serving.archive.plan.MAX_BYTES", plan.size_bytes - 1)
    assert [(study.portions, len(study.items)) for study in make_plan(large).studies] == [(2, FILES - 1), (2, 1)]
    monkeypatch.setattr("serving.archive.plan.MAX_BYTES", 1)
    assert [(study.portions, len(study.items)) for study in make_plan(large).studies] == [(FILES, 1)] * FILES


def drawn(out):
    """The pictures on a page."""
    names = [part.split('"')[0] for part in (out / "index.html").read_text().split('src="')[1:]]
    return [(out / name).read_bytes() for name in names]


@pytest.mark.usefixtures("in_pairs")
def test_hips_are_judged_over_all_portions(large, tmp_path, monkeypatch):
    grade(Job(large, tmp_path / "portions", workers=1), silent)
    monkeypatch.undo()
    grade(Job(large, tmp_path / "whole", workers=1), silent)
    apart, whole = contents(tmp_path / "portions"), contents(tmp_path / "whole")
    assert apart["readings"] == whole["readings"] and apart["failures"] == whole["failures"]
    ours, theirs = (rows(tmp_path / name, "hips") for name in ("portions", "whole"))
    assert [row["hip"] for row in theirs] == ["left", "right"] and theirs[0]["graded_frames"] > 1
    for one, other in zip(ours, theirs, strict=True):
        for name in ("probabilities", "quality"):  # sums in another order
            assert one.pop(name) == pytest.approx(other.pop(name))
        assert one == other
    assert drawn(tmp_path / "portions") == drawn(tmp_path / "whole") != []


@pytest.mark.usefixtures("in_pairs")
def test_a_portion_that_was_cut_off_is_all_that_is_read_again(large, tmp_path):
    out = tmp_path / "out"
    assert grade(Job(large, out, workers=1), silent).read_now == FILES
    before, parts = contents(out), sorted((out / "parts").iterdir())
    assert len(parts) == 3
    for part in parts:
        size = len(list(part.parent.iterdir()))
        shutil.rmtree(part)
        assert size == 3
        assert grade(Job(large, out, workers=1, resume=True), silent).read_now in (1, 2)
        assert contents(out) == before


@pytest.mark.usefixtures("in_pairs")
def test_a_portion_that_kills_its_process_costs_the_study_no_more(large, tmp_path, monkeypatch):
    def killed(studies, setup, workers):
        first, *others = studies
        yield Died(first)
        yield from pool.read_all(others, setup, workers)

    monkeypatch.setattr("serving.archive.run.read_all", killed)
    grade(Job(large, tmp_path / "out", workers=1), silent)
    assert {row["name"]: row["why"] for row in rows(tmp_path / "out", "failures")} == dict.fromkeys(
        ("0.dcm", "1.dcm"), Why.CRASHED
    )
    assert {row["hip"]: row["frames"] for row in rows(tmp_path / "out", "hips")} == {"left": 2, "right": 1}


def test_a_tally_is_the_same_after_it_was_written(large, reader):
    (study,) = make_plan(large).studies
    for tally in read_study(study, reader, Asked()).hips:
        assert Tally.from_json(tally.as_json()) == tally
