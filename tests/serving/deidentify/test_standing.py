"""What a person decided holds for the picture that was seen, and what was blanked once stays blank."""

import json
import shutil
from dataclasses import replace

import cv2
import pydicom
import pytest

from datasets.dicom import read_dicom
from serving.archive.run import grade
from serving.deidentify import clearing
from serving.deidentify.clean import Crossing, Note
from serving.deidentify.clearing import Desk, run_clearing
from serving.deidentify.decisions import Decision, Verdict, load_decisions
from serving.deidentify.layouts import Layouts, save_layouts
from serving.deidentify.release import Standing, Waiting, list_withheld
from tests.serving.deidentify.conftest import INSIDE, OUTSIDE, decide, desk_of, job, row_of, uid_of

FIRST, SECOND, THIRD = (200, 200, 260, 230), (280, 200, 340, 230), (200, 250, 260, 280)


def is_blank(out, uid, box):
    x0, y0, x1, y1 = box
    return not read_dicom(out / "images" / f"{uid}.dcm").frame(0).grey[y0 : y1 + 1, x0 : x1 + 1].any()


def write_over(path):
    """Other pixels under the same names."""
    dataset = pydicom.dcmread(path)
    frames = dataset.pixel_array.copy()
    for frame in frames:
        cv2.putText(frame, "UNSEEN", (220, 220), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 255, 1)
    dataset.PixelData = frames.tobytes()
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    dataset["PixelData"].is_undefined_length = False
    dataset.save_as(path)


def rewrite(path, change):
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def images(out):
    return {path.stem for path in out.glob("images/*.dcm")}


def standing(last, layout=()):
    crossing = Crossing("file", "MRN", "P-1", "1.2", "2.25.2", "1.3", "2.25.3")
    return Standing(Waiting(None, Note(crossing, "one", True, 1, (), "now")), last, layout)


def test_a_decision_is_on_one_picture_and_boxes_are_on_every():
    made = Decision("2.25.3", "now", Verdict.CLEARED, (FIRST,), "A. Kim", "2026-01-01")
    assert standing(made, (SECOND,)).is_cleared and standing(made, (SECOND,)).boxes == (FIRST, SECOND)
    for seen in ("before", ""):
        of_another = standing(replace(made, seen=seen), (SECOND,))
        assert of_another.decision is None and not of_another.is_cleared
        assert of_another.boxes == (FIRST, SECOND)
    assert not standing(replace(made, verdict=Verdict.KEPT_BACK)).is_cleared
    assert standing(None).decision is None and standing(None).boxes == ()


def test_a_box_stays_when_others_are_drawn_for_the_layout(out, desk):
    uid = uid_of(out, INSIDE)
    decide(desk, uid, boxes=[FIRST])
    assert is_blank(out, uid, FIRST) and not is_blank(out, uid, SECOND)
    decide(desk, uid, boxes=[SECOND], everywhere=True)
    assert is_blank(out, uid, FIRST) and is_blank(out, uid, SECOND)
    assert json.loads((out / "private" / "layouts.json").read_text()).popitem()[1] == [list(SECOND)]
    decide(desk, uid, "kept back")
    decide(desk, uid, boxes=[THIRD])
    assert all(is_blank(out, uid, box) for box in (FIRST, SECOND, THIRD))
    assert row_of(desk, uid)["boxes"] == sorted(map(list, (FIRST, SECOND, THIRD)))


def test_what_was_blank_in_a_layout_stays_so_in_what_was_decided_then(out, desk):
    uid = uid_of(out, INSIDE)
    layouts = out / "private" / "layouts.json"
    save_layouts(Layouts({list_withheld(out)[uid].note.layout: (SECOND,)}), layouts)
    decide(desk, uid, boxes=[FIRST])
    layouts.unlink()
    Desk(out, "A. Kim")
    assert is_blank(out, uid, FIRST) and is_blank(out, uid, SECOND)


def test_boxes_are_those_of_all_decisions_on_a_file(tmp_path):
    told = {"uid": "1.2", "verdict": "cleared", "by": "A", "at": "now"}
    lines = [told | {"boxes": [FIRST]}, told | {"boxes": [SECOND], "verdict": "kept back"}]
    (tmp_path / "decisions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (made,) = load_decisions(tmp_path / "decisions.jsonl").values()
    assert (made.boxes, made.verdict, made.seen) == ((FIRST, SECOND), Verdict.KEPT_BACK, "")


def test_a_picture_that_has_changed_is_taken_back_and_waits_again(planted, graded, tmp_path):
    archive, out = shutil.copytree(planted, tmp_path / "archive"), shutil.copytree(graded, tmp_path / "out")
    desk, uid, other = desk_of(out), uid_of(out, OUTSIDE), uid_of(out, INSIDE)
    decide(desk, uid, boxes=[FIRST])
    decide(desk, other)
    seen = row_of(desk, uid)["seen"]
    write_over(next(archive.rglob(OUTSIDE)))
    heard = []
    grade(replace(job(archive, out, resume=True), forget=True), heard.append)
    assert images(out) == {other}
    assert [line for line in heard if line.startswith("1 pictures that were out are taken back")]
    assert [folder.name for folder in out.iterdir() if uid in str(list(map(told_of, folder.glob("*.dcm"))))] == []
    row = row_of(desk, uid)
    assert (row["verdict"], row["by"], row["before"], row["boxes"]) == (None, None, "A. Kim", [list(FIRST)])
    assert row["seen"] != seen and row_of(desk, other)["verdict"] == "cleared"
    assert desk.get(f"/files/{uid}/{seen}.jpg").status_code == 404
    assert desk.get(f"/files/{uid}/{row['seen']}.jpg").status_code == 200
    answer = desk.post(f"/files/{uid}", json={"verdict": "cleared", "seen": seen})
    assert answer.status_code == 422 and "look at it again" in answer.text
    Desk(out, "A. Kim")
    assert images(out) == {other}
    decide(desk, uid)
    assert images(out) == {uid, other} and is_blank(out, uid, FIRST)


def told_of(path):
    return str(pydicom.dcmread(path, stop_before_pixels=True))


def test_a_decision_that_does_not_say_of_which_picture_is_none(out, desk, monkeypatch):
    uid, path = uid_of(out, OUTSIDE), out / "private" / "decisions.jsonl"
    decide(desk, uid, boxes=[FIRST])
    rewrite(path, lambda told: {name: value for name, value in told.items() if name != "seen"})
    monkeypatch.setattr(clearing.uvicorn, "run", lambda *_, **__: None)
    heard = []
    run_clearing(out, "B. Lee", 8001, heard.append)
    assert heard[0].startswith("1 files wait again and are not out")
    assert images(out) == set()
    row = row_of(desk, uid)
    assert (row["verdict"], row["before"], row["boxes"]) == (None, "A. Kim", [list(FIRST)])
    decide(desk_of(out), uid)
    run_clearing(out, "B. Lee", 8001, heard.append)
    assert len(heard) == 3 and images(out) == {uid} and is_blank(out, uid, FIRST)


def test_a_file_that_was_put_in_anothers_place_is_not_let_out(out, desk):
    uid = uid_of(out, OUTSIDE)
    decide(desk, uid)
    write_over(list_withheld(out)[uid].path)
    seen = row_of(desk, uid)["seen"]
    assert desk.get(f"/files/{uid}/{seen}.jpg").status_code == 404
    answer = desk.post(f"/files/{uid}", json={"verdict": "cleared", "seen": seen, "boxes": [FIRST]})
    assert answer.status_code == 422 and "not the picture that was decided on" in answer.text
    assert images(out) == set()
    with pytest.raises(ValueError, match="grade --resume"):
        Desk(out, "A. Kim")


def test_a_note_of_an_older_version_is_of_the_file_beside_it(out, desk):
    before = {uid: one.note.picture for uid, one in list_withheld(out).items()}
    decide(desk, uid_of(out, OUTSIDE))
    for waiting in list_withheld(out).values():
        rewrite(waiting.path.with_suffix(".json"), lambda told: told | {"picture": ""})
    assert {uid: one.note.picture for uid, one in list_withheld(out).items()} == before
    Desk(out, "A. Kim")
    assert images(out) == {uid_of(out, OUTSIDE)}
