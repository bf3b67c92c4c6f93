"""A run gone on with: nothing that was read is lost, whatever has become of the archive, and all of it is told."""

import json

import pytest

from datasets.inputs import Why
from model.anatomy import View
from model.grade import GradeRules
from serving.archive.note import alone_in, name_of
from serving.archive.results import Result
from serving.archive.run import Job, grade
from serving.archive.study import Asked
from serving.deidentify.pseudonyms import Pseudonyms
from tests.serving.archive.conftest import contents, dicom, rows, silent


def parts_of(out):
    return {path.name for path in (out / "parts").iterdir()}


def again(run, say=silent, **more):
    return grade(Job(*run, workers=1, resume=True, **more), say)


def missing(out):
    return [row["name"] for row in rows(out, "failures") if row["why"] == Why.MISSING]


def test_an_archive_that_is_not_mounted_costs_nothing(run):
    archive, out = run
    before, parts = contents(out), parts_of(out)
    archive.rename(archive.with_name("unmounted"))
    archive.mkdir()
    with pytest.raises(FileNotFoundError, match="see that it is mounted"):
        again(run)
    assert contents(out) == before and parts_of(out) == parts
    assert json.loads((out / "run.json").read_text())["finished"]
    assert again(run, forget=True).frames == 0
    assert parts_of(out) == set()


def test_another_archive_is_refused(run, tmp_path):
    archive, out = run
    before, other = contents(out), tmp_path / "other"
    dicom(other / "hip.dcm", 3_000_018, View.ILIOPECTINEAL)
    with pytest.raises(ValueError, match=rf"a run of {archive}, not of {other}.*--forget"):
        again((other, out))
    assert contents(out) == before


def test_an_archive_that_has_moved_is_taken_up(run, tmp_path):
    archive, out = run
    before = contents(out)
    moved = archive.rename(tmp_path / "moved")
    assert again((moved, out), forget=True).read_now == 0
    assert contents(out) == before
    assert again((moved, out)).read_now == 0


def test_what_is_gone_is_told_and_taken_up_again_when_it_is_back(run):
    archive, out = run
    before, heard = contents(out), []
    hidden = (archive / "one").rename(archive.with_name("hidden"))
    outcome = again(run, heard.append)
    assert (outcome.frames, outcome.read_now, outcome.wrong) == (1, 0, 2)
    assert missing(out) == ["one/L.dcm", "one/R.dcm"]
    assert any(line.startswith("1 studies that were read are not in the archive now") for line in heard)
    assert not any("changed" in line for line in heard)
    hidden.rename(archive / "one")
    assert again(run).read_now == 0
    assert contents(out) == before


def test_a_file_gone_from_a_study_is_told(run):
    archive, out = run
    before = contents(out)
    hidden = (archive / "one" / "L.dcm").rename(archive.with_name("hidden.dcm"))
    assert again(run).read_now == 1
    assert missing(out) == ["one/L.dcm"]
    hidden.rename(archive / "one" / "L.dcm")
    assert again(run).read_now == 0
    assert contents(out) == before


def test_what_is_forgotten_is_told_no_more(run):
    archive, out = run
    (archive / "two.dcm").unlink()
    assert again(run).wrong == 1
    assert again(run, forget=True).wrong == 0
    assert not (out / "aside").exists()
    assert again(run).wrong == 0


def test_a_setting_put_back_finds_what_was_read_by_it(run):
    before, heard = contents(run[1]), []
    rules = GradeRules(version="other", straight_ratio=0.5)
    assert again(run, heard.append, asked=Asked(rules=rules)).read_now == 3
    assert any("everything is read afresh" in line for line in heard)
    assert not any("their files" in line for line in heard)
    assert again(run).read_now == 0
    assert contents(run[1]) == before


def test_of_a_study_only_what_was_put_aside_last_is_kept(run):
    archive, out = run
    heard, first = [], parts_of(out)
    second, third, fourth = (Asked(rules=GradeRules(version=name)) for name in ("second", "third", "fourth"))
    again(run, asked=second)
    between = parts_of(out)
    assert {path.name for path in (out / "aside").iterdir()} == first
    hidden = (archive / "two.dcm").rename(archive.with_name("hidden.dcm"))
    again(run, heard.append, asked=third)
    lost = {path.name for path in (out / "aside").iterdir()} - between
    assert len(between) == 2 and len(lost) == 1 and lost < first
    size = sum(path.stat().st_size for path in (out / "aside").rglob("*") if path.is_file())
    told = f"3 parts read of other files or by other settings, {size / 1e6:.0f} MB, lie in {out / 'aside'}"
    assert any(line.startswith(told) for line in heard)
    assert missing(out) == ["two.dcm"]
    hidden.rename(archive / "two.dcm")
    again(run, asked=fourth)
    assert again(run, asked=third).read_now == 1


def test_results_that_are_asked_for_no_more_are_not_left_beside_other_tables(run):
    _, out = run
    again(run, asked=Asked(results=frozenset({Result.REPORT, Result.OVERLAY})))
    assert len(list((out / "sr").iterdir())) == len(list((out / "overlays").iterdir())) == 3
    (out / "overlays" / "notes.txt").write_text("mine")
    again(run)
    assert not (out / "sr").exists()
    assert [path.name for path in (out / "overlays").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"digest": "", "settings": 5}'])
def test_a_run_whose_note_is_broken_is_taken_up(run, content):
    _, out = run
    before, heard = contents(out), []
    (out / "run.json").write_text(content)
    assert again(run, heard.append).read_now == 0
    assert any("run.json cannot be read" in line for line in heard)
    assert contents(out) == before
    assert json.loads((out / "run.json").read_text())["finished"]


def test_an_output_folder_within_the_archive_is_refused(run):
    archive, _ = run
    for inside in (archive / "graded", archive / "deep" / "graded", archive):
        with pytest.raises(ValueError, match="outside the archive"):
            grade(Job(archive, inside, workers=1), silent)
    assert not (archive / "graded").exists()


def test_two_runs_at_once_are_not_let_into_a_folder(run):
    _, out = run
    before = contents(out)
    with alone_in(out), pytest.raises(ValueError, match="another run is at work"):
        again(run)
    assert again(run).read_now == 0
    assert contents(out) == before


def test_what_a_desktop_leaves_among_the_parts_stops_nothing(run):
    _, out = run
    (out / "parts" / ".DS_Store").write_bytes(b"\0")
    (out / "parts" / "Thumbs.db").write_bytes(b"\0")
    assert again(run).read_now == 0


def test_an_archives_name_is_the_same_from_anywhere_and_tells_no_secret(tmp_path):
    assert name_of("dicomwebs://me:secret@pacs:8042/d?Modality=US", None) == "dicomwebs://pacs:8042/d?Modality=US"
    key = Pseudonyms(b"k" * 32)
    assert name_of(tmp_path / "x" / "..", None) == str(tmp_path)
    assert name_of(tmp_path, key).startswith("2.25.") and name_of(tmp_path, key) == name_of(tmp_path / "x" / "..", key)
