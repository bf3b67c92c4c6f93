"""OUT/index.html: what was read, grades, courses, the deciding frames, failures; without a server or network."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jinja2

from datasets.inputs import Failure
from datasets.whole import write_whole
from model.anatomy import GRADES
from model.reading import NOTICE
from serving.archive.tables import HipRow

PICTURES: Final = 400
"""Deciding frames shown; the table names them all."""
_COURSE_PX: Final = (220, 60)


@dataclass(frozen=True, slots=True)
class Hip:
    """A hip's row, and its deciding frame's picture relative to the page."""

    told: HipRow
    picture: str | None


@dataclass(frozen=True, slots=True)
class Course:
    """A patient's hip over its studies, by date: the grades, and a polyline of them for the page."""

    patient_id: str
    hip: str
    visits: tuple[tuple[str, int], ...]

    @property
    def points(self) -> str:
        width, height = _COURSE_PX
        step = (width - 20) / max(len(self.visits) - 1, 1)
        rise = (height - 20) / max(GRADES)
        places = ((10 + step * k, height - 10 - rise * grade) for k, (_, grade) in enumerate(self.visits))
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def write_page(
    out: Path, rows: Iterable[tuple[HipRow, Path | None]], failures: list[Failure], settings: dict[str, Any]
) -> None:
    """Writes the page over an older one; of a de-identified run without pictures and without the inputs' names."""
    is_private = settings["deidentified"] is not None
    hips = [Hip(row, None if drawn is None or is_private else drawn.relative_to(out).as_posix()) for row, drawn in rows]
    grades = Counter(hip.told.gsus for hip in hips)
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True)
    environment.filters.update(day=_day, percent=_percent, number=_number)
    page = environment.get_template("page.html.jinja").render(
        notice=NOTICE,
        settings=settings,
        hips=hips,
        shown=[hip for hip in hips if hip.picture][:PICTURES],
        pictured=sum(hip.picture is not None for hip in hips),
        grades=[(str(grade), grades[grade]) for grade in GRADES] + [("not gradable", grades[None])],
        most=max(grades.values(), default=0) or 1,
        courses=_courses(hips),
        course_px=_COURSE_PX,
        failures=[] if is_private else failures,
        failed=len(failures),
        causes=Counter(str(one.why) for one in failures),
    )
    write_whole(out / "index.html", page)


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
    """Hips of one patient with a grade on two days or more."""
    visits: dict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
    for hip in hips:
        told = hip.told
        if told.gsus is not None and told.patient_id and told.study_date:
            visits[told.patient_id, told.hip].append((told.study_date, told.gsus))
    several = {key: sorted(seen) for key, seen in sorted(visits.items()) if len({day for day, _ in seen}) > 1}
    return [Course(patient, hip, tuple(seen)) for (patient, hip), seen in several.items()]
