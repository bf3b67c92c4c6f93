"""What each group has at each visit: counts, n, missing, mean, SD, SEM, median and quartiles; and who took part."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from model.anatomy import GRADES
from serving.cohort.design import Patient
from serving.cohort.outcomes import OUTCOMES, Cohort, Grid


@dataclass(frozen=True, slots=True)
class Summary:
    """One outcome of a group at a visit. SD is of n - 1, SEM is SD / sqrt(n); None where n is too small.

    n + missing are the visits planned, those among them that the design excludes too. `counts` of grades 0 to 3, None
    where the outcome is no grade; quartiles by linear interpolation.
    """

    outcome: str
    group: str
    week: float
    n: int
    missing: int
    counts: tuple[int, int, int, int] | None
    mean: float | None
    sd: float | None
    sem: float | None
    median: float | None
    lower_quartile: float | None
    upper_quartile: float | None

    @property
    def percents(self) -> tuple[float, ...] | None:
        return None if self.counts is None or not self.n else tuple(100 * count / self.n for count in self.counts)


@dataclass(frozen=True, slots=True)
class Trait:
    """A line of the table of who took part, a text a group; `missing` how many patients do not say."""

    name: str
    by_group: tuple[str, ...]
    missing: int


def summarise(grid: Grid) -> tuple[Summary, ...]:
    """Every group at every visit, empty ones too."""
    return tuple(_summary(grid, group, week) for group in range(len(grid.groups)) for week in range(len(grid.weeks)))


def _summary(grid: Grid, group: int, week: int) -> Summary:
    values = grid.at(group, week)
    n, several = len(values), len(values) > 1
    counts = tuple(int((values == grade).sum()) for grade in GRADES) if grid.outcome.is_grade else None
    quartiles = np.percentile(values, [25, 50, 75]) if n else None
    return Summary(
        outcome=grid.outcome.key,
        group=grid.groups[group],
        week=grid.weeks[week],
        n=n,
        missing=int(grid.planned[grid.group_of == group, week].sum()) - n,
        counts=None if counts is None else (counts[0], counts[1], counts[2], counts[3]),
        mean=float(values.mean()) if n else None,
        sd=float(values.std(ddof=1)) if several else None,
        sem=float(stats.sem(values)) if several else None,
        median=None if quartiles is None else float(quartiles[1]),
        lower_quartile=None if quartiles is None else float(quartiles[0]),
        upper_quartile=None if quartiles is None else float(quartiles[2]),
    )


def who_took_part(cohort: Cohort, first: tuple[Summary, ...]) -> tuple[Trait, ...]:
    """Number, age, sex, subtype and duration of disease a group, then outcomes at the first visit as mean (SD)."""
    design = cohort.design
    members = [[p for p in design.patients if p.group == group] for group in design.groups]
    traits = [
        Trait("patients", tuple(str(len(group)) for group in members), 0),
        _number("age, years: mean (SD)", [[p.age_years for p in group] for group in members]),
        _number("disease, years: mean (SD)", [[p.disease_duration_years for p in group] for group in members]),
        *_shares("sex", members, lambda patient: patient.sex),
        *_shares("subtype", members, lambda patient: patient.subtype),
    ]
    sizes = dict(zip(design.groups, map(len, members), strict=True))
    return (*(trait for trait in traits if any(trait.by_group)), *_at_first(first, sizes))


def _number(name: str, groups: list[list[float | None]]) -> Trait:
    told = [np.array([value for value in group if value is not None], float) for group in groups]
    missing = sum(value is None for group in groups for value in group)
    return Trait(name, tuple(_mean_sd(values) for values in told), missing)


def _mean_sd(values: NDArray[np.float64]) -> str:
    if len(values) < 2:
        return f"{values[0]:.1f}" if len(values) else ""
    return f"{values.mean():.1f} ({values.std(ddof=1):.1f})"


def _shares(name: str, groups: list[list[Patient]], trait: Callable[[Patient], str | None]) -> list[Trait]:
    counts = [Counter(told for patient in group if (told := trait(patient))) for group in groups]
    missing = sum(trait(patient) is None for group in groups for patient in group)
    levels = sorted({level for count in counts for level in count}, key=lambda level: -sum(c[level] for c in counts))
    return [
        Trait(
            f"{name} {level}",
            tuple(f"{c[level]} ({100 * c[level] / max(len(g), 1):.0f} %)" for c, g in zip(counts, groups, strict=True)),
            missing,
        )
        for level in levels
    ]


def _at_first(summaries: tuple[Summary, ...], sizes: dict[str, int]) -> list[Trait]:
    """Missing here are patients, also those without a first visit: the table is of patients."""
    by_outcome: dict[str, dict[str, Summary]] = {}
    for one in summaries:
        by_outcome.setdefault(one.outcome, {})[one.group] = one
    labels = {outcome.key: outcome.label for outcome in OUTCOMES}
    return [
        Trait(
            f"{labels[key]}, week {next(iter(told.values())).week:g}: mean (SD)",
            tuple(_told(told[group]) for group in sizes),
            sum(size - told[group].n for group, size in sizes.items()),
        )
        for key, told in by_outcome.items()
    ]


def _told(one: Summary) -> str:
    if one.mean is None:
        return ""
    return f"{one.mean:.2f}" if one.sd is None else f"{one.mean:.2f} ({one.sd:.2f})"
