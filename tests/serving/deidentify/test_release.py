"""What `hipsono grade --deidentify` lets out: nothing that names anyone, and no picture that nobody has seen."""

import csv
import json
import shutil
import subprocess
from dataclasses import replace

import cv2
import numpy as np
import pyarrow.parquet as pq
import pydicom
import pytest
from fastapi.testclient import TestClient

from datasets.dicom import read_dicom
from serving.archive.command import identities_for
from serving.archive.results import Result
from serving.archive.run import Job, grade
from serving.deidentify import release as release_module
from serving.deidentify.clearing import Desk
from serving.deidentify.decisions import Decision, Verdict, load_decisions, write_down
from serving.deidentify.layouts import Layouts, load_layouts, save_layouts
from serving.deidentify.pseudonyms import keep_key
from serving.deidentify.release import list_withheld
from tests.serving.deidentify.conftest import (
    INSIDE,
    OUTSIDE,
    PLANTED,
    decide,
    desk_of,
    job,
    row_of,
    to_give_away,
    uid_of,
)


def test_nothing_planted_is_in_what_may_be_given_away_and_no_picture_is_out(graded):
    given = to_give_away(graded)
    assert {path.name for path in given} - {".lock"} == {"readings.parquet", "hips.parquet", "run.json", "index.html"}
    told = b"".join(path.read_bytes() for path in given if path.suffix != ".parquet")
    told += b"".join(str(pq.read_table(path).to_pylist()).encode() for path in given if path.suffix == ".parquet")
    assert [one for one in PLANTED if one in told] == []


def test_the_same_reading_under_other_names(planted, graded, tmp_path):
    plain = tmp_path / "plain"
    grade(Job(planted, plain, workers=1), lambda _: None)
    before = [row for row in pq.read_table(plain / "hips.parquet").to_pylist() if row["patient_id"]]
    after = pq.read_table(graded / "hips.parquet").to_pylist()
    assert sorted(row["gsus"] for row in before if row["gsus"] is not None) == sorted(
        row["gsus"] for row in after if row["gsus"] is not None
    )
    assert len({row["patient_id"] for row in after}) == 1
    assert {row["patient_id"] for row in after}.isdisjoint({row["patient_id"] for row in before})
    assert {row["age_years"] for row in after} == {row["age_years"] for row in before}


def test_who_is_who_stays_with_the_key(graded):
    with (graded / "private" / "crosswalk.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["patient_id"] for row in rows} == {"MRN-4471"}
    assert {row["uid"] for row in rows} == set(list_withheld(graded))
    failed = pq.read_table(graded / "private" / "failures.parquet").to_pylist()
    assert [(row["name"].split("/")[-1], row["why"]) for row in failed] == [("KOWALSKI.png", "not de-identified")]


def test_text_beside_the_insonated_area_is_gone_and_what_is_within_is_as_it_was(planted, graded):
    uid = uid_of(graded, OUTSIDE)
    before = read_dicom(next(planted.rglob(OUTSIDE))).frame(1).grey
    after = read_dicom(list_withheld(graded)[uid].path).frame(1).grey
    assert (before[:14, :80] > 150).any()
    assert not after[:14, :80].any()
    kept = after > 0
    assert kept.mean() > 0.2
    assert np.array_equal(before[kept], after[kept])


def test_a_name_within_is_pointed_at(graded):
    withheld = list_withheld(graded)
    inside = withheld[uid_of(graded, INSIDE)].note.found
    assert any(one.is_named and "KOWALSKI" in one.text.upper() for one in inside)
    assert not any(one.is_named for one in withheld[uid_of(graded, OUTSIDE)].note.found)


def test_what_a_person_clears_goes_out_with_flags_that_are_true_by_then(out, desk):
    uid = uid_of(out, OUTSIDE)
    assert decide(desk, uid)["by"] == "A. Kim"
    image = pydicom.dcmread(out / "images" / f"{uid}.dcm")
    assert (image.PatientIdentityRemoved, image.BurnedInAnnotation) == ("YES", "NO")
    assert [item.CodeValue for item in image.DeidentificationMethodCodeSequence][-1] == "113101"
    for kind in Result:
        (result,) = (out / kind).glob("*.dcm")
        told = pydicom.dcmread(result)
        assert uid in str(told)
        assert told.PatientID == image.PatientID
        assert told.StudyInstanceUID == image.StudyInstanceUID
    data = b"".join(path.read_bytes() for path in to_give_away(out) if path.suffix == ".dcm")
    assert [one for one in PLANTED if one in data] == []


def test_what_is_kept_back_or_taken_back_is_not_out(out, desk):
    uid, other = uid_of(out, OUTSIDE), uid_of(out, INSIDE)
    decide(desk, other, "kept back")
    assert not list(out.glob("images/*"))
    decide(desk, uid)
    decide(desk, uid, "kept back")
    assert not [path for path in to_give_away(out) if path.suffix == ".dcm"]
    assert load_decisions(out / "private" / "decisions.jsonl")[uid].verdict == "kept back"


def test_a_box_is_blank_in_every_frame_and_in_what_was_made_of_it(out, desk):
    uid = uid_of(out, INSIDE)
    (found, *_) = [one for one in list_withheld(out)[uid].note.found if one.is_named]
    x0, y0, x1, y1 = found.box
    decide(desk, uid, boxes=[[x0, y0, x1, y1]])
    for frame in read_dicom(out / "images" / f"{uid}.dcm").frames():
        assert not frame.grey[y0 : y1 + 1, x0 : x1 + 1].any()
    for path in (out / "overlays").glob("*.dcm"):
        shown = pydicom.dcmread(path).pixel_array
        shown = shown if shown.ndim == 4 else shown[None]
        assert not shown[:, y0 : y1 + 1, x0 : x1 + 1].any()


def test_a_layouts_box_is_remembered_for_the_next_run(planted, out, desk, tmp_path):
    uid = uid_of(out, INSIDE)
    decide(desk, uid, boxes=[[200, 200, 260, 230]], everywhere=True)
    layout = list_withheld(out)[uid].note.layout
    assert load_layouts(out / "private" / "layouts.json") == Layouts({layout: ((200, 200, 260, 230),)})
    again = tmp_path / "again"
    grade(job(planted, again, identity=out / "private"), lambda _: None)
    assert uid in list_withheld(again)
    assert not read_dicom(list_withheld(again)[uid].path).frame(0).grey[200:231, 200:261].any()


BOX = (200, 200, 260, 230)


def is_blank(out, uid):
    x0, y0, x1, y1 = BOX
    return not read_dicom(out / "images" / f"{uid}.dcm").frame(0).grey[y0 : y1 + 1, x0 : x1 + 1].any()


def lay_out_alike(out):
    """Both files as of one scanner's layout; gives their UIDs."""
    for waiting in list_withheld(out).values():
        told = waiting.path.with_suffix(".json")
        told.write_text(json.dumps(json.loads(told.read_text()) | {"layout": "one"}))
    return uid_of(out, OUTSIDE), uid_of(out, INSIDE)


def test_a_box_for_everywhere_is_blank_in_what_was_out_already(out):
    first, second = lay_out_alike(out)
    desk = desk_of(out)
    decide(desk, first)
    assert not is_blank(out, first)
    gone = Decision("1.2.3", "", Verdict.CLEARED, (), "A. Kim", "2026-01-01")
    write_down(gone, out / "private" / "decisions.jsonl")
    decide(desk, second, boxes=[BOX], everywhere=True)
    assert is_blank(out, first) and is_blank(out, second)


@pytest.mark.parametrize("remembered", ["decision", "layout"])
def test_what_was_out_before_a_crash_is_blanked_at_the_next_start(out, remembered):
    first, _ = lay_out_alike(out)
    decide(desk_of(out), first)
    if remembered == "decision":
        path = out / "private" / "decisions.jsonl"
        write_down(replace(load_decisions(path)[first], boxes=(BOX,)), path)
    else:
        save_layouts(Layouts({"one": (BOX,)}), out / "private" / "layouts.json")
    assert not is_blank(out, first)
    Desk(out, "A. Kim")
    assert is_blank(out, first)


def test_what_is_out_is_written_again_only_where_it_would_differ(out):
    first, second = lay_out_alike(out)
    desk = desk_of(out)
    decide(desk, first)
    decide(desk, second, boxes=[BOX])
    written = {path: path.stat().st_ino for path in out.glob("*/*.dcm")}
    Desk(out, "A. Kim")
    assert {path: path.stat().st_ino for path in out.glob("*/*.dcm")} == written != {}


def test_a_box_that_cannot_be_written_takes_the_picture_away(out, monkeypatch):
    first, second = lay_out_alike(out)
    desk = desk_of(out, raise_server_exceptions=False)
    decide(desk, first)
    monkeypatch.setattr(release_module, "_let_out", full_disk)
    told = {"verdict": "cleared", "seen": row_of(desk, second)["seen"], "boxes": [BOX], "everywhere": True}
    assert desk.post(f"/files/{second}", json=told).status_code == 500
    assert not list(out.glob("images/*.dcm"))


def full_disk(*_):
    raise OSError("no space left on device")


def test_gone_on_with_it_is_the_same_and_decisions_hold(planted, out, desk):
    uid = uid_of(out, OUTSIDE)
    decide(desk, uid)
    before = {path.name: path.read_bytes() for path in out.glob("*.parquet")}
    shutil.rmtree(out / "images")
    parts = (out / "private" / "parts").iterdir()
    shutil.rmtree(next(path for path in parts if not (path / "images" / f"{uid}.dcm").exists()))
    grade(job(planted, out, resume=True), lambda _: None)
    assert {path.name: path.read_bytes() for path in out.glob("*.parquet")} == before
    assert [path.stem for path in out.glob("images/*.dcm")] == [uid]


def test_a_folder_never_holds_both_kinds_of_names(planted, out, tmp_path):
    with pytest.raises(ValueError, match="add --deidentify"):
        grade(Job(planted, out, workers=1, resume=True), lambda _: None)
    (out / "private" / "key").write_text("ab" * 32)
    with pytest.raises(ValueError, match="the same --identity"):
        grade(job(planted, out, resume=True), lambda _: None)
    (tmp_path / "empty").mkdir()
    grade(Job(tmp_path / "empty", tmp_path / "plain", workers=1), lambda _: None)
    with pytest.raises(ValueError, match="originals' names"):
        grade(job(tmp_path / "empty", tmp_path / "plain", resume=True), lambda _: None)


def test_a_key_is_not_made_beside_a_run_that_has_another(out, tmp_path):
    (tmp_path / "kept").mkdir()
    (out / "private" / "key").rename(tmp_path / "kept" / "key")
    with pytest.raises(ValueError, match="the same --identity"):
        identities_for(out, None)
    assert not (out / "private" / "key").exists()
    assert identities_for(out, tmp_path / "kept").pseudonyms == keep_key(tmp_path / "kept" / "key")
    (out / "private" / "key").write_text("ab" * 32)
    with pytest.raises(ValueError, match="not the key"):
        identities_for(tmp_path / "new", out / "private")
    assert not (tmp_path / "new").exists()


def test_what_leads_back_is_for_its_owner_only(graded, tmp_path):
    assert (graded / "private").stat().st_mode & 0o077 == 0
    identities_for(tmp_path / "again", graded / "private")
    assert (tmp_path / "again" / "private").stat().st_mode & 0o077 == 0


def test_a_picture_that_nobody_cleared_is_taken_away(out):
    (out / "images").mkdir()
    uid = uid_of(out, OUTSIDE)
    shutil.copy(list_withheld(out)[uid].path, out / "images")
    Desk(out, "A. Kim")
    assert not list(out.glob("images/*.dcm"))


def test_the_page_tells_what_it_has_and_refuses_what_it_has_not(out, desk):
    files = desk.get("/files").json()
    assert [row["verdict"] for row in files] == [None, None]
    assert files[0]["uid"] == uid_of(out, INSIDE)
    uid, cleared = files[0]["uid"], {"verdict": "cleared", "seen": files[0]["seen"]}
    shown = f"/files/{uid}/{files[0]['seen']}.jpg"
    assert cv2.imdecode(np.frombuffer(desk.get(shown).content, np.uint8), 0).max() > 100
    assert desk.get(f"{shown}?frame=99").status_code == 404
    assert desk.post("/files/1.2.3", json=cleared).status_code == 404
    assert desk.post(f"/files/{uid}", json=cleared | {"boxes": [[9, 9, 3, 3]]}).status_code == 422
    assert desk.post(f"/files/{uid}", json=cleared | {"verdict": "fine"}).status_code == 422
    assert TestClient(desk.app, base_url="http://evil.example").get("/files").status_code == 400
    assert not load_decisions(out / "private" / "decisions.jsonl")


def test_a_decision_needs_a_name_and_a_run(out, tmp_path):
    with pytest.raises(ValueError, match="--by"):
        Desk(out, " ")
    with pytest.raises(FileNotFoundError, match="--deidentify"):
        Desk(tmp_path, "A. Kim")


def test_a_line_cut_short_is_no_decision(tmp_path):
    path = tmp_path / "decisions.jsonl"
    whole = {"uid": "1.2", "verdict": "cleared", "boxes": [], "by": "A", "at": "now"}
    path.write_text(json.dumps(whole) + "\n" + json.dumps(whole | {"uid": "1.3"})[:-9])
    assert list(load_decisions(path)) == ["1.2"]


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="no dciodvfy: install dicom3tools")
def test_what_is_out_is_valid(out, desk):
    for uid in list_withheld(out):
        decide(desk, uid)
    paths = [path for path in to_give_away(out) if path.suffix == ".dcm"]
    assert len(paths) == 8
    for path in paths:
        told = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True)
        assert [line for line in told.stderr.splitlines() if line.startswith("Error")] == [], path
