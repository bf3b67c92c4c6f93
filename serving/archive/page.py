"""OUT/index.html: what was read, grades, courses, the deciding frames, failures; without a server or network."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import jinja2

from datasets.dicom_header import read_date
from datasets.inputs import EXPECTED, Failure
from datasets.whole import write_whole
from model.anatomy import GRADES, Laterality
from model.reading import NOTICE
from serving.archive.tables import HipRow

SHOWN: Final = 400
"""Deciding frames and courses shown; the tables have them all."""
LISTED: Final = 2_000
"""Inputs without a frame that are listed, those with something wrong first: among the studies there may be anything."""
_NOT_GRADABLE: Final = "not gradable"
_NO_VIEW: Final = "no such view"
_COURSE_PX: Final = (240, 84)
_LEFT_PX, _EDGE_PX = 18, 8


@dataclass(frozen=True, slots=True)
class Hip:
    """A hip's row, and its deciding frame's picture relative to the page."""

    told: HipRow
    picture: str | None


@dataclass(frozen=True, slots=True)
class Course:
    """A patient's hip over its studies, by date: the grades, None where it has none, and their places on the page."""

    patient_id: str
    hip: str
    visits: tuple[tuple[date, int | None], ...]

    @property
    def dots(self) -> list[tuple[float, float]]:
        """(x, y) of each grade, days apart as they are."""
        (first, *_, last), (width, _) = [day for day, _ in self.visits], _COURSE_PX
        a_day = (width - _LEFT_PX - _EDGE_PX) / max((last - first).days, 1)
        return [
            (round(_LEFT_PX + a_day * (day - first).days, 1), level(grade))
            for day, grade in self.visits
            if grade is not None
        ]


def level(grade: int) -> float:
    """The height y at which a course shows a grade."""
    return round(_COURSE_PX[1] - _EDGE_PX - (_COURSE_PX[1] - 2 * _EDGE_PX) * grade / max(GRADES), 1)


def write_page(
    out: Path, rows: Iterable[tuple[HipRow, Path | None]], failures: list[Failure], settings: dict[str, Any]
) -> None:
    """Writes the page over an older one; of a de-identified run without pictures and without the inputs' names."""
    is_private = settings["deidentified"] is not None
    hips = [Hip(row, None if drawn is None or is_private else drawn.relative_to(out).as_posix()) for row, drawn in rows]
    courses = _courses(hips)
    grades = Counter(_graded(hip.told) for hip in hips)
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True)
    environment.filters.update(day=_day, percent=_percent, number=_number)
    page = environment.get_template("page.html.jinja").render(
        notice=NOTICE,
        settings=settings,
        hips=hips,
        shown=[hip for hip in hips if hip.picture][:SHOWN],
        pictured=sum(hip.picture is not None for hip in hips),
        grades=[(name, grades[name]) for name in (*map(str, GRADES), _NOT_GRADABLE, _NO_VIEW)],
        most=max(grades.values(), default=0) or 1,
        courses=courses[:SHOWN],
        of_courses=len(courses),
        course_px=_COURSE_PX,
        levels=[(grade, level(grade)) for grade in GRADES],
        failures=[] if is_private else sorted(failures, key=lambda one: one.why in EXPECTED)[:LISTED],
        failed=len(failures),
        causes=Counter(str(one.why) for one in failures),
    )
    write_whole(out / "index.html", page)


def _graded(hip: HipRow) -> str:
    if hip.gsus is not None:
        return str(hip.gsus)
    return _NOT_GRADABLE if hip.view_frames else _NO_VIEW


def _day(told: str) -> str:
    """DICOM's 20260228 as 2026-02-28; anything else as it is."""
    return f"{told[:4]}-{told[4:6]}-{told[6:]}" if len(told) == 8 and told.isdigit() else told


def _number(value: float | None, digits: int, sign: str = "") -> str:
    return "" if value is None else f"{value:{sign}.{digits}f}"


def _percent(percentile: float | None) -> str:
    if percentile is None:
        return ""
    return "< 1" if percentile < 1 else "> 99" if percentile > 99 else f"{percentile:.0f}"


def _courses(hips: list[Hip]) -> list[Course]:
    """Hips of one patient with a grade on two days or more; the days without one between them are told too.

    Of unknown side there is no course: it may be one hip today and the other tomorrow.
    """
    visits: dict[tuple[str, str], list[tuple[date, int | None]]] = defaultdict(list)
    for hip in hips:
        day = read_date(hip.told.study_date)
        if hip.told.patient_id and day is not None and hip.told.hip != Laterality.UNKNOWN:
            visits[hip.told.patient_id, hip.told.hip].append((day, hip.told.gsus))
    courses = (Course(*whose, tuple(sorted(seen, key=lambda one: one[0]))) for whose, seen in sorted(visits.items()))
    return [one for one in courses if len({day for day, grade in one.visits if grade is not None}) > 1]
