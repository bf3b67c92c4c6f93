"""The page: courses as long as the time they took, and no more rows than a person can look through."""

import re

import pytest

from datasets.inputs import Failure, Why
from serving.archive.page import write_page
from tests.serving.cohort.conftest import hip_row

SETTINGS = {
    "deidentified": None, "trained_on": "phantoms", "model": {"name": "starter", "version": "6", "sha256": "a" * 64},
}  # fmt: skip


def written(folder, rows, failures=()):
    write_page(folder, ((row, None) for row in rows), list(failures), SETTINGS)
    return (folder / "index.html").read_text()


def test_a_course_is_as_long_as_its_days_and_tells_those_without_a_grade(tmp_path):
    days = {"20260101": 3, "20260111": 2, "20260401": None, "20260411": 0, "": 1}
    page = written(tmp_path, [hip_row("A", day, gsus=gsus) for day, gsus in days.items()])
    (course,) = re.findall(r"<polyline points=\"(.*?)\"", page)
    (x0, y3), (x1, y2), (x2, y0) = ([float(one) for one in dot.split(",")] for dot in course.split())
    assert (x1 - x0) / (x2 - x0) == pytest.approx(0.1, abs=0.01)
    assert y3 < y2 < y0 and (y2 - y3) / (y0 - y3) == pytest.approx(1 / 3, abs=0.01)
    assert re.findall(rf'<text x="2" y="{y0 + 3}">(.)</text>', page) == ["0"]
    assert "2026-01-01 grade 3, 2026-01-11 grade 2, 2026-04-01 no grade, 2026-04-11 grade 0" in page


def test_hips_of_unknown_side_make_no_course(tmp_path):
    days = ("20260101", "20260301")
    sides = {hip: written(tmp_path, [hip_row("A", day, hip=hip) for day in days]) for hip in ("left", "unknown")}
    assert "<polyline" in sides["left"]
    assert "<polyline" not in sides["unknown"]


def test_one_grade_is_no_course(tmp_path):
    rows = [hip_row("A", "20260101"), hip_row("A", "20260111", gsus=None), hip_row("B", "20260101"), hip_row("B", "x")]
    assert "<polyline" not in written(tmp_path, rows)


def test_what_is_wrong_is_listed_first_and_the_rest_counted(tmp_path, monkeypatch):
    monkeypatch.setattr("serving.archive.page.LISTED", 2)
    dull = [Failure(f"{k}.txt", Why.NOT_A_PICTURE, "text") for k in range(4)]
    page = written(tmp_path, [], [*dull, Failure("z.dcm", Why.UNREADABLE, "cut short")])
    assert "z.dcm" in page and "0.txt" in page and "1.txt" not in page
    assert "2 of 5 are listed" in page


def test_what_shows_no_hip_is_counted_apart_from_what_cannot_be_graded(tmp_path):
    views = {"A": (1, 3), "B": (None, 3), "C": (None, 0), "D": (None, 0)}
    page = written(tmp_path, [hip_row(who, "20260101", gsus=gsus, view_frames=n) for who, (gsus, n) in views.items()])
    bars = dict(re.findall(r"<span>([^<]*)</span><i [^>]*></i><span>(\d+)</span>", page))
    assert bars == {"0": "0", "1": "1", "2": "0", "3": "0", "not gradable": "1", "no such view": "2"}
