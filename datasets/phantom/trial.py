"""A simulated trial, drawn but not rendered: patients, groups, visits, true grades, and what a reader would have noted.

The shape is that of the trial this project starts from (Khalifa 2025): three groups, weeks 0, 2 and 16. SOLAR counts
are those that fit its published means for denervation at weeks 0 and 16 (1.38 and 0.15 at n = 40); the rest is
plausible and invented. Grades are dealt, not sampled, so that a group's true mean is known.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np
from numpy.random import Generator

from model.anatomy import GRADES, Laterality

FIRST_SEED: Final = 2_500_000
"""Seeds from here on were never learnt from or tuned on."""
PREFIX: Final = "phantom-"
"""How patients who are none are named, so that a report can say so."""
WEEKS: Final = (0, 2, 16)
_FIRST_DAY: Final = date(2026, 1, 5)
_PATIENTS_A_DAY: Final = 3
_CONSTANCY: Final = 0.8
"""How much of a patient's place in the group stays from visit to visit; the rest is drawn anew."""
_SUBTYPES: Final = ("oligoarticular", "polyarticular RF-", "polyarticular RF+", "enthesitis-related", "psoriatic")
_SUBTYPE_SHARES: Final = (0.45, 0.22, 0.06, 0.2, 0.07)
_SALT: Final = 20270105


class Normal(NamedTuple):
    """A mean and an SD."""

    mean: float
    sd: float


@dataclass(frozen=True, slots=True)
class Expected:
    """A group at a visit: how many of 40 patients have each grade; pain to 10, tenderness to 3, Harris score to 100."""

    grades_of_40: tuple[int, int, int, int]
    vas: Normal
    tenderness: Normal
    hhs: Normal


_BEFORE: Final = (Normal(5.5, 2.0), Normal(1.8, 0.8), Normal(59.6, 9.9))
GROUPS: Final = MappingProxyType({
    "denervation": (
        Expected((2, 21, 17, 0), *_BEFORE),
        Expected((18, 20, 2, 0), Normal(1.8, 0.9), Normal(1.1, 0.5), Normal(76.0, 8.0)),
        Expected((34, 6, 0, 0), Normal(0.8, 0.5), Normal(0.8, 0.4), Normal(83.3, 6.4)),
    ),
    "saline": (
        Expected((1, 24, 14, 1), *_BEFORE),
        Expected((3, 23, 13, 1), Normal(5.2, 2.0), Normal(1.7, 0.8), Normal(60.5, 9.9)),
        Expected((4, 23, 12, 1), Normal(5.1, 2.0), Normal(1.7, 0.8), Normal(61.0, 9.9)),
    ),
    "triamcinolone": (
        Expected((0, 27, 11, 2), *_BEFORE),
        Expected((22, 16, 2, 0), Normal(1.7, 1.0), Normal(1.1, 0.5), Normal(75.0, 8.5)),
        Expected((17, 18, 5, 0), Normal(2.6, 1.4), Normal(1.2, 0.6), Normal(72.0, 9.0)),
    ),
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class TrialPatient:
    """Who takes part. `seed` is of the anatomy, the same at every visit."""

    patient_id: str
    seed: int
    group: str
    index_hip: Laterality
    sex: str
    subtype: str
    disease_duration_years: float
    jadas: float
    first_day: date


@dataclass(frozen=True, slots=True)
class TrialVisit:
    """A patient at a visit, with the true grade and what was noted beside it."""

    patient: TrialPatient
    week: int
    gsus: int
    vas: float
    tenderness: int
    hhs: float

    @property
    def day(self) -> date:
        return self.patient.first_day + timedelta(weeks=self.week)

    @property
    def study_id(self) -> str:
        return f"{self.patient.patient_id}-week{self.week}"


def draw_trial(patients: int, seed: int) -> tuple[TrialVisit, ...]:
    """Every visit of a trial of so many patients in groups of one size, patient by patient.

    Raises ValueError where the patients cannot be parted evenly.
    """
    if patients < len(GROUPS) or patients % len(GROUPS):
        raise ValueError(f"a trial of {len(GROUPS)} even groups takes a multiple of {len(GROUPS)}, got {patients}")
    rng = np.random.default_rng([_SALT, seed])
    groups = rng.permutation(np.repeat(list(GROUPS), patients // len(GROUPS)))
    people = [_patient(number, seed, str(group), rng) for number, group in enumerate(groups)]
    visits = [visit for name in GROUPS for visit in _group([one for one in people if one.group == name], name, rng)]
    return tuple(sorted(visits, key=lambda visit: (visit.patient.patient_id, visit.week)))


def dealt(of_40: tuple[int, ...], patients: int) -> tuple[int, ...]:
    """The grades of so many patients, sorted: counts in the shares of 40, the largest remainders rounded up."""
    exact = np.array(of_40) * patients / sum(of_40)
    counts = np.floor(exact).astype(int)
    for grade in np.argsort(counts - exact, kind="stable")[: patients - int(counts.sum())]:
        counts[grade] += 1
    return tuple(int(grade) for grade in np.repeat(GRADES, counts))


def _patient(number: int, seed: int, group: str, rng: Generator) -> TrialPatient:
    return TrialPatient(
        patient_id=f"{PREFIX}{number + 1:03d}",
        seed=seed + number,
        group=group,
        index_hip=Laterality.LEFT if rng.random() < 0.5 else Laterality.RIGHT,
        sex="F" if rng.random() < 0.62 else "M",
        subtype=str(rng.choice(_SUBTYPES, p=_SUBTYPE_SHARES)),
        disease_duration_years=round(float(rng.gamma(2.2, 1.3)), 1),
        jadas=round(float(np.clip(rng.normal(16, 5), 2, 40)), 1),
        first_day=_FIRST_DAY + timedelta(days=number // _PATIENTS_A_DAY),
    )


def _group(people: list[TrialPatient], name: str, rng: Generator) -> list[TrialVisit]:
    """The visits of one group: the sicker patient tends to keep the higher grade."""
    lasting = rng.normal(size=len(people))
    visits = []
    for week, expected in zip(WEEKS, GROUPS[name], strict=True):
        now = _CONSTANCY * lasting + (1 - _CONSTANCY**2) ** 0.5 * rng.normal(size=len(people))
        grades = np.array(dealt(expected.grades_of_40, len(people)))[np.argsort(np.argsort(now))]
        visits += [
            _visit(patient, week, int(grade), expected, rng) for patient, grade in zip(people, grades, strict=True)
        ]
    return visits


def _visit(patient: TrialPatient, week: int, gsus: int, expected: Expected, rng: Generator) -> TrialVisit:
    return TrialVisit(
        patient,
        week,
        gsus,
        vas=round(float(np.clip(rng.normal(*expected.vas), 0, 10)), 1),
        tenderness=int(np.clip(round(rng.normal(*expected.tenderness)), 0, 3)),
        hhs=round(float(np.clip(rng.normal(*expected.hhs), 0, 100)), 1),
    )
