"""Machine and reader on the same visits: kappa, Bland-Altman, and whether both lead to the same conclusions."""

import warnings
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray
from statsmodels.stats.inter_rater import cohens_kappa

from model.anatomy import GRADES
from serving.cohort.between import Between
from serving.cohort.effects import FEWEST, Effect, Values, finite, interval
from serving.cohort.model import Model
from serving.cohort.outcomes import Grid
from serving.cohort.within import Within

ALPHA: Final = 0.05
_LIMIT_SDS: Final = 1.96


@dataclass(frozen=True, slots=True)
class GradeAgreement:
    """Grades of `n` hips of `patients`; `table` counts reader's grade (rows) by machine's (columns).

    Kappa is quadratic weighted, its interval by bootstrap over patients; None, with `reason`, where it is not defined.
    """

    place: str
    n: int
    patients: int
    kappa: Effect | None
    exact_percent: float
    within_one_percent: float
    table: tuple[tuple[int, ...], ...]
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class DistanceAgreement:
    """Bland-Altman of machine less reader, mm: bias and limits (bias -+ 1.96 SD), with bootstrap over patients."""

    place: str
    n: int
    patients: int
    sd_mm: float
    bias: Effect
    lower: Effect
    upper: Effect


@dataclass(frozen=True, slots=True)
class MeanPair:
    """A group's mean at a visit, the machine's over whom it read and the reader's over whom the reader did.

    `paired` is the mean difference over the patients that both have.
    """

    outcome: str
    group: str
    week: float
    machine_n: int
    machine: float
    reader_n: int
    reader: float
    difference: float
    paired: float | None


@dataclass(frozen=True, slots=True)
class Conclusion:
    """One test by both: p (adjusted where there is a family) and whether both fall on one side of ALPHA."""

    outcome: str
    test: str
    place: str
    comparison: str
    machine_p: float
    reader_p: float

    @property
    def alike(self) -> bool:
        return (self.machine_p < ALPHA) == (self.reader_p < ALPHA)


@dataclass(frozen=True, slots=True)
class OutcomeTests:
    """All tests of one outcome."""

    within: tuple[Within, ...]
    between: tuple[Between, ...]
    model: Model


def grades_agree(machine: Grid, reader: Grid) -> tuple[GradeAgreement, ...]:
    """Over all visits, and at each where several grades occur."""
    both = np.isfinite(machine.values) & np.isfinite(reader.values)
    places = [("all visits", both)] + [
        (f"week {week:g}", both & (np.arange(len(machine.weeks)) == k)) for k, week in enumerate(machine.weeks)
    ]
    return tuple(_grades(place, machine.values, reader.values, chosen) for place, chosen in places if chosen.any())


def _grades(place: str, machine: Values, reader: Values, chosen: NDArray[np.bool_]) -> GradeAgreement:
    patients = np.flatnonzero(chosen.any(axis=1))
    tables = _tables(machine[patients], reader[patients], chosen[patients])
    table = tables.sum(axis=0)
    n, value = int(table.sum()), _kappa(table)
    effect = reason = None
    if not np.isfinite(value):
        reason = "kappa is not defined where only one grade occurs"
    elif len(patients) < FEWEST:
        reason = f"{len(patients)} patients, {FEWEST} are needed"
    else:
        everyone = np.arange(len(patients))
        low, high = interval((everyone,), lambda drawn: _kappa(tables[drawn].sum(axis=0)), vectorized=False)
        effect = Effect("quadratic weighted kappa", value, finite(low), finite(high))
    apart = np.abs(np.subtract.outer(GRADES, GRADES))
    return GradeAgreement(
        place,
        n,
        len(patients),
        effect,
        100 * float(table[apart == 0].sum()) / n,
        100 * float(table[apart <= 1].sum()) / n,
        tuple(tuple(int(count) for count in row) for row in table),
        reason,
    )


def _tables(machine: Values, reader: Values, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """A table of counts (reader's grade, machine's grade) for each patient, (patients, 4, 4)."""
    tables = np.zeros((len(chosen), len(GRADES), len(GRADES)), np.int64)
    patient = np.nonzero(chosen)[0]
    np.add.at(tables, (patient, reader[chosen].astype(int), machine[chosen].astype(int)), 1)
    return tables


def _kappa(table: NDArray[np.int64]) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(cohens_kappa(table, wt="quadratic", return_results=False))


def distances_agree(machine: Grid, reader: Grid) -> tuple[DistanceAgreement, ...]:
    """Over all visits, and at each; places with fewer than FEWEST patients are left out."""
    difference = machine.values - reader.values
    places = [("all visits", difference)]
    places += [(f"week {week:g}", difference[:, k : k + 1]) for k, week in enumerate(machine.weeks)]
    told = (_distances(place, chosen[np.isfinite(chosen).any(axis=1)]) for place, chosen in places)
    return tuple(one for one in told if one is not None)


def _distances(place: str, difference: Values) -> DistanceAgreement | None:
    if len(difference) < FEWEST:
        return None

    def limit(sds: float) -> Effect:
        def of(patients: NDArray[np.int64]) -> float:
            drawn = difference[patients]
            return float(np.nanmean(drawn) + sds * np.nanstd(drawn, ddof=1))

        everyone = np.arange(len(difference))
        low, high = interval((everyone,), of, vectorized=False)
        name = "bias" if sds == 0 else "limit of agreement"
        return Effect(name, of(everyone), finite(low), finite(high))

    n, sd_mm = int(np.isfinite(difference).sum()), float(np.nanstd(difference, ddof=1))
    limits = (limit(0), limit(-_LIMIT_SDS), limit(_LIMIT_SDS))
    return DistanceAgreement(place, n, len(difference), sd_mm, *limits)


def means_agree(machine: Grid, reader: Grid) -> tuple[MeanPair, ...]:
    """Every group at every visit that both have."""
    places = product(range(len(machine.groups)), range(len(machine.weeks)))
    return tuple(_means(machine, reader, k, j) for k, j in places if len(machine.at(k, j)) and len(reader.at(k, j)))


def _means(machine: Grid, reader: Grid, group: int, week: int) -> MeanPair:
    ours, theirs = machine.at(group, week), reader.at(group, week)
    apart = machine.of(group)[:, week] - reader.of(group)[:, week]
    return MeanPair(
        outcome=machine.outcome.key,
        group=machine.groups[group],
        week=machine.weeks[week],
        machine_n=len(ours),
        machine=float(ours.mean()),
        reader_n=len(theirs),
        reader=float(theirs.mean()),
        difference=float(ours.mean() - theirs.mean()),
        paired=float(np.nanmean(apart)) if np.isfinite(apart).any() else None,
    )


def conclusions_agree(outcome: str, machine: OutcomeTests, reader: OutcomeTests) -> tuple[Conclusion, ...]:
    """Every test that could be done by both."""
    ours, theirs = _ps(machine), _ps(reader)
    return tuple(Conclusion(outcome, *key, p, theirs[key]) for key, p in ours.items() if key in theirs)


def _ps(tests: OutcomeTests) -> dict[tuple[str, str, str], float]:
    """The p that counts of each test, by test, place and comparison."""
    told = {(t.test, t.group, t.comparison): (t.p, t.p_holm) for t in tests.within}
    told |= {(t.test, f"week {t.week:g}", t.comparison): (t.p, t.p_holm) for t in tests.between}
    joint = tests.model.interaction
    told[tests.model.kind, "all groups", "group x visit"] = (None if joint is None else joint.p, None)
    return {key: p if holm is None else holm for key, (p, holm) in told.items() if p is not None}
