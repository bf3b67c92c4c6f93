"""The design file of a trial -> patients and visits. What is wrong with it is told with its row and column.

One row a patient and visit. `patient`, `group`, `visit` (weeks) and `index_hip` are asked for; the other columns of
COLUMNS may be left out, and cells may be empty.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Final

from datasets.csv_file import Row, read_csv
from datasets.phantom.trial import PREFIX
from model.anatomy import GRADES, Laterality

REQUIRED: Final = ("patient", "group", "visit", "index_hip")
SCORES: Final = MappingProxyType({
    "solar": (0.0, 3.0), "capsule_distance_mm": (0.0, 50.0), "vas": (0.0, 10.0), "tenderness": (0.0, 3.0),
    "hhs": (0.0, 100.0), "jadas": (0.0, 101.0),
})  # fmt: skip
"""What a reader may have noted at a visit, with its least and largest value."""
WHOLE: Final = frozenset({"solar", "tenderness"})
_TRAITS: Final = ("age_years", "sex", "subtype", "disease_duration_years")
COLUMNS: Final = (*REQUIRED, "date", "study", *SCORES, *_TRAITS, "excluded")
_ALSO_CALLED: Final = MappingProxyType({"age": "age_years", "disease_duration": "disease_duration_years"})
_MOST_YEARS: Final = 120.0
_FIRST_YEAR: Final = 1900
"""A date before is a filler such as 0001-01-01."""
_SPELLED_ALIKE: Final = ("group", "sex", "subtype")
_NO_REASONS: Final = frozenset({"no", "n", "0", "false"})


class DesignError(ValueError):
    """A design file that cannot be used; the message names row, column, what was expected and what came."""


@dataclass(frozen=True, slots=True)
class Patient:
    """Who takes part; traits as the first row that has them says."""

    patient_id: str
    group: str
    index_hip: Laterality
    age_years: float | None = None
    sex: str | None = None
    subtype: str | None = None
    disease_duration_years: float | None = None


@dataclass(frozen=True, slots=True)
class Noted:
    """What a person noted at a visit, None where nothing: grades 0-3, mm, and clinical scores."""

    solar: float | None = None
    capsule_distance_mm: float | None = None
    vas: float | None = None
    tenderness: float | None = None
    hhs: float | None = None
    jadas: float | None = None


@dataclass(frozen=True, slots=True)
class Visit:
    """A patient at a visit; `row` of the file, `excluded` the reason why it does not count."""

    row: int
    patient: Patient
    week: float
    day: date | None
    study: str | None
    noted: Noted
    excluded: str | None


@dataclass(frozen=True, slots=True)
class Design:
    """A trial as planned, visits by patient and week; `unused` columns are told and not read.

    `is_simulated`: all patients are phantoms of this project.
    """

    visits: tuple[Visit, ...]
    unused: tuple[str, ...] = ()
    is_simulated: bool = False

    @property
    def patients(self) -> tuple[Patient, ...]:
        return tuple(dict.fromkeys(visit.patient for visit in self.visits))

    @property
    def groups(self) -> tuple[str, ...]:
        """In the order in which the file names them."""
        first: dict[str, int] = {}
        for visit in self.visits:
            first[visit.patient.group] = min(visit.row, first.get(visit.patient.group, visit.row))
        return tuple(sorted(first, key=lambda group: first[group]))

    @property
    def weeks(self) -> tuple[float, ...]:
        return tuple(sorted({visit.week for visit in self.visits}))

    @property
    def unscheduled(self) -> tuple[float, ...]:
        """Weeks that fewer than half of the patients have a row for."""
        planned = Counter(visit.week for visit in self.visits)
        return tuple(week for week in self.weeks if 2 * planned[week] < len(self.patients))


def read_design(path: Path) -> Design:
    """The design in a CSV file. Raises DesignError, and OSError where it cannot be opened."""
    heads, rows = _read(path)
    filled = [(number, row) for number, row in rows if any(row.values())]
    if not filled:
        raise DesignError(f"{path}: no rows under the header; expected one a patient and visit")
    for column in _SPELLED_ALIKE:
        _spell_alike(filled, column)
    patients = _patients(filled)
    visits = sorted(
        (_visit(number, row, patients[row["patient"]]) for number, row in filled),
        key=lambda visit: (visit.patient.patient_id, visit.week),
    )
    _check_once(visits)
    _check_order(visits)
    unused = tuple(head for head in heads if head and head not in COLUMNS)
    return Design(tuple(visits), unused, all(name.startswith(PREFIX) for name in patients))


def _read(path: Path) -> tuple[list[str], list[tuple[int, Row]]]:
    """The heads, and every row with its number."""
    try:
        heads, rows = read_csv(path)
    except ValueError as error:
        raise DesignError(str(error)) from None
    heads = [_ALSO_CALLED.get(head, head) for head in heads]
    _check_heads(path, heads)
    return heads, [(number, {_ALSO_CALLED.get(head, head): cell for head, cell in row.items()}) for number, row in rows]


def _spell_alike(rows: list[tuple[int, Row]], column: str) -> None:
    """Saline and saline are one: cells that differ in case or spaces alone get the spelling of the first."""
    first: dict[str, str] = {}
    for _, row in rows:
        if row.get(column):
            row[column] = first.setdefault(" ".join(row[column].casefold().split()), row[column])


def _check_heads(path: Path, heads: list[str]) -> None:
    if not heads:
        raise DesignError(f"{path} is empty: expected a header with {', '.join(REQUIRED)}")
    missing = [name for name in REQUIRED if name not in heads]
    if missing:
        raise DesignError(f"{path}: column {', '.join(missing)} is missing; found {', '.join(heads)}")
    twice = sorted({head for head in heads if head and heads.count(head) > 1})
    if twice:
        raise DesignError(f"{path}: column {', '.join(twice)} is there twice")


def _patients(rows: list[tuple[int, Row]]) -> dict[str, Patient]:
    """Every patient, who must be of one group and have one index hip."""
    by_id: dict[str, list[tuple[int, Row]]] = defaultdict(list)
    for number, row in rows:
        by_id[_filled(number, row, "patient")].append((number, row))
    return {patient_id: _patient(patient_id, its_rows) for patient_id, its_rows in by_id.items()}


def _patient(patient_id: str, rows: list[tuple[int, Row]]) -> Patient:
    first = rows[0]
    for column in ("group", "index_hip"):
        for number, row in rows:
            value = _filled(number, row, column)
            if value.lower() != first[1][column].lower():
                raise DesignError(
                    f"row {number}, column {column}: {value!r}, but row {first[0]} has {first[1][column]!r} for "
                    f"patient {patient_id}; a patient has one {column}"
                )
    traits = {name: next((pair for pair in rows if pair[1].get(name)), first) for name in _TRAITS}
    return Patient(
        patient_id,
        first[1]["group"],
        _side(*first),
        age_years=_number(*traits["age_years"], "age_years", (0.0, _MOST_YEARS)),
        sex=traits["sex"][1].get("sex") or None,
        subtype=traits["subtype"][1].get("subtype") or None,
        disease_duration_years=_number(*traits["disease_duration_years"], "disease_duration_years", (0.0, _MOST_YEARS)),
    )


def _visit(number: int, row: Row, patient: Patient) -> Visit:
    week = _number(number, row, "visit", (0.0, 10_000.0))
    if week is None:
        raise DesignError(f"row {number}, column visit: empty; expected weeks since the treatment, such as 0 or 16")
    noted = Noted(**{name: _number(number, row, name, bounds) for name, bounds in SCORES.items()})
    excluded = row.get("excluded") or None
    if excluded is not None and excluded.lower() in _NO_REASONS:
        raise DesignError(f"row {number}, column excluded: {excluded!r}; expected a reason, or nothing where it counts")
    return Visit(number, patient, week, _day(number, row), row.get("study") or None, noted, excluded)


def _filled(number: int, row: Row, column: str) -> str:
    value = row.get(column, "")
    if not value:
        raise DesignError(f"row {number}, column {column}: empty; every row needs it")
    return value


def _side(number: int, row: Row) -> Laterality:
    value = row["index_hip"].lower()
    if value not in (Laterality.LEFT, Laterality.RIGHT):
        raise DesignError(f"row {number}, column index_hip: {row['index_hip']!r}; expected left or right")
    return Laterality(value)


def _day(number: int, row: Row) -> date | None:
    value = row.get("date", "")
    try:
        day = date.fromisoformat(value) if value else None
    except ValueError:
        day = date.min
    if day is not None and day.year < _FIRST_YEAR:
        raise DesignError(f"row {number}, column date: {value!r}; expected YYYY-MM-DD")
    return day


def _number(number: int, row: Row, column: str, bounds: tuple[float, float]) -> float | None:
    text = row.get(column, "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        raise DesignError(f"row {number}, column {column}: {text!r} is not a number") from None
    low, high = bounds
    if not low <= value <= high:
        raise DesignError(f"row {number}, column {column}: {text}; expected {low:g} to {high:g}")
    if column in WHOLE and value not in GRADES:
        raise DesignError(f"row {number}, column {column}: {text}; expected one of {', '.join(map(str, GRADES))}")
    return value


def _check_once(visits: list[Visit]) -> None:
    """No visit and no date of a patient stands in two rows, and no study at all."""
    seen: dict[tuple[str, str], Visit] = {}
    for visit in visits:
        patient = visit.patient.patient_id
        marks = [(patient, f"visit {visit.week:g}")]
        marks += [(patient, f"date {visit.day}")] if visit.day and not visit.study else []
        marks += [("", f"study {visit.study}")] if visit.study else []
        for mark in marks:
            before = seen.setdefault(mark, visit)
            if before is not visit:
                other = "" if before.patient is visit.patient else f", for patient {before.patient.patient_id}"
                told = f"{mark[1]} is in row {before.row} already{other}"
                raise DesignError(f"row {visit.row}: patient {patient}, {told}")


def _check_order(visits: list[Visit]) -> None:
    """No patient's later visit has an earlier date."""
    dated = [visit for visit in visits if visit.day is not None]
    for earlier, later in pairwise(dated):
        if earlier.patient is later.patient and (later.day or date.max) < (earlier.day or date.min):
            raise DesignError(
                f"row {later.row}, column date: {later.day} of visit {later.week:g} is before {earlier.day} of visit "
                f"{earlier.week:g} in row {earlier.row}"
            )
