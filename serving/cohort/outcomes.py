"""Design and readings joined: a record a visit, what was lost and why, and for each outcome patients by visits."""

from collections import Counter
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

import numpy as np
from numpy.typing import NDArray

from serving.cohort.design import Design, Patient, Visit
from serving.cohort.matching import Loss, Side, Stage, match_patient, pick_hip
from serving.cohort.readings import HipReading, Readings, Study


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is tabled. `is_grade`: whole numbers 0 to 3. `by_machine`: read, not noted."""

    key: str
    label: str
    unit: str
    is_grade: bool = False
    by_machine: bool = False


SOLAR: Final = Outcome("solar", "SOLAR grade, grey scale", "grade", True, True)
DISTANCE: Final = Outcome("capsule_distance_mm", "Capsule distance", "mm", False, True)
READER_SOLAR: Final = Outcome("reader_solar", "SOLAR grade, reader's", "grade", True)
READER_DISTANCE: Final = Outcome("reader_capsule_distance_mm", "Capsule distance, reader's", "mm")
WITH_REVIEW: Final = Outcome(
    "solar_with_review", "SOLAR grade, grey scale, hips under review at their learned grade", "grade", True, True
)
"""For the sensitivity analysis alone."""
QUALITY: Final = Outcome("quality", "Quality of the pictures", "0 to 1", False, True)
"""Tabled with the flow of visits, and not tested."""
OUTCOMES: Final = (
    SOLAR,
    DISTANCE,
    Outcome("side_difference_mm", "Capsule distance, this hip less the other", "mm", False, True),
    READER_SOLAR,
    READER_DISTANCE,
    Outcome("vas", "Pain (VAS)", "0 to 10"),
    Outcome("tenderness", "Tenderness", "grade", True),
    Outcome("hhs", "Harris hip score", "0 to 100"),
    Outcome("jadas", "JADAS", "points"),
)


@dataclass(frozen=True, slots=True)
class Record:
    """A visit with what was read of its hip; `loss` why there is no grade, `note` what has to be told beside one."""

    visit: Visit
    study: str | None
    hip: HipReading | None
    loss: Loss | None
    note: str | None = None

    def value(self, outcome: Outcome) -> float | None:
        """The outcome at this visit; None where missing, and all of an excluded visit is."""
        if self.loss is not None and self.loss.stage is Stage.EXCLUDED:
            return None
        if not outcome.by_machine:
            value = getattr(self.visit.noted, outcome.key.removeprefix("reader_"))
        elif self.hip is None:
            return None
        else:
            value = self.hip.gsus if outcome is SOLAR else getattr(self.hip, outcome.key)
        return None if value is None else float(value)


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A study of a patient of the design that is no visit's."""

    patient: Patient
    study: str
    study_date: str

    @property
    def told(self) -> str:
        return f"{self.patient.patient_id}: study {self.study} of {self.study_date or 'no date'}"


@dataclass(frozen=True, slots=True)
class Cohort:
    """A trial joined with its readings. `strangers` are studies of nobody in the design, `unmatched` those of its
    patients that are no visit's.
    """

    design: Design
    side: Side
    records: tuple[Record, ...]
    strangers: tuple[str, ...]
    unmatched: tuple[Unmatched, ...] = ()


@dataclass(frozen=True, slots=True)
class Flow:
    """CONSORT counts of a group at a visit: planned = lost, by stage, + graded. `noted` of those graded have a note."""

    group: str
    week: float
    planned: int
    lost: tuple[tuple[Stage, int], ...]
    graded: int
    noted: int


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """An outcome: `values` (patients, weeks), NaN where missing; `planned` (patients, weeks) where the design has a
    visit; `group_of` (patients,) indexes `groups`. Few patients have the `unscheduled` ones among the weeks.
    """

    outcome: Outcome
    groups: tuple[str, ...]
    weeks: tuple[float, ...]
    group_of: NDArray[np.int64]
    values: NDArray[np.float64]
    planned: NDArray[np.bool_]
    unscheduled: tuple[float, ...] = ()

    @property
    def course(self) -> "Grid":
        """Without the unscheduled weeks: what asks for every visit would otherwise have nobody left."""
        kept = [week not in self.unscheduled for week in self.weeks]
        weeks = tuple(week for week, keep in zip(self.weeks, kept, strict=True) if keep)
        return replace(self, weeks=weeks, values=self.values[:, kept], planned=self.planned[:, kept], unscheduled=())

    def of(self, group: int) -> NDArray[np.float64]:
        """The group's patients (n, weeks)."""
        return np.asarray(self.values[self.group_of == group])

    def at(self, group: int, week: int) -> NDArray[np.float64]:
        """The group's values at a visit that are there, (n,)."""
        values = self.of(group)[:, week]
        return np.asarray(values[np.isfinite(values)])


def join(design: Design, readings: Readings, side: Side) -> Cohort:
    """A record of every visit of the design."""
    records: list[Record] = []
    for _, visits in groupby(design.visits, key=lambda visit: visit.patient.patient_id):
        of_patient = tuple(visits)
        matched = match_patient(of_patient, readings.studies)
        records += [_record(visit, found, side) for visit, found in zip(of_patient, matched, strict=True)]
    used = {record.study for record in records}
    known = {patient.patient_id: patient for patient in design.patients}
    left = [study for study in readings.studies if study.study not in used and not _is_excluded(study, design)]
    strangers = [study.study for study in left if study.patient_id not in known]
    unmatched = [Unmatched(known[s.patient_id], s.study, s.study_date) for s in left if s.patient_id in known]
    return Cohort(design, side, tuple(records), tuple(strangers), tuple(unmatched))


def _is_excluded(study: Study, design: Design) -> bool:
    """Whether the study is that of a visit which the design excludes."""
    return any(
        visit.excluded
        and (
            visit.study == study.study
            or (visit.patient.patient_id == study.patient_id and visit.day is not None and visit.day == study.day)
        )
        for visit in design.visits
    )


def _record(visit: Visit, found: Study | Loss, side: Side) -> Record:
    if isinstance(found, Loss):
        return Record(visit, found.study, None, found)
    hip, note = pick_hip(found, visit.patient.index_hip, side)
    if isinstance(hip, Loss):
        return Record(visit, found.study, None, hip)
    loss = Loss(Stage.NOT_GRADED, hip.reason or "no grade") if hip.gsus is None else None
    told = [text for text in (note, hip.review if loss is None else None) if text]
    return Record(visit, found.study, hip, loss, "; ".join(told) or None)


def flows(cohort: Cohort) -> tuple[Flow, ...]:
    """The counts of every group at every visit."""
    out = []
    for group in cohort.design.groups:
        for week in cohort.design.weeks:
            here = [r for r in cohort.records if r.visit.patient.group == group and r.visit.week == week]
            lost = Counter(record.loss.stage for record in here if record.loss is not None)
            graded = [record for record in here if record.loss is None]
            noted = sum(record.note is not None for record in graded)
            counts = tuple((stage, lost[stage]) for stage in Stage)
            out.append(Flow(group, week, len(here), counts, len(graded), noted))
    return tuple(out)


def grid(cohort: Cohort, outcome: Outcome) -> Grid | None:
    """The outcome of all patients; None where nobody has it, and where the other hip is asked for: what was
    noted is of the index hip.
    """
    if cohort.side is Side.OTHER and not outcome.by_machine:
        return None
    design = cohort.design
    row = {patient.patient_id: k for k, patient in enumerate(design.patients)}
    column = {week: k for k, week in enumerate(design.weeks)}
    values = np.full((len(row), len(column)), np.nan)
    planned = np.zeros(values.shape, bool)
    for record in cohort.records:
        place = row[record.visit.patient.patient_id], column[record.visit.week]
        planned[place] = True
        value = record.value(outcome)
        if value is not None:
            values[place] = value
    if not np.isfinite(values).any():
        return None
    group_of = np.array([design.groups.index(patient.group) for patient in design.patients])
    return Grid(outcome, design.groups, design.weeks, group_of, values, planned, design.unscheduled)
