"""Change within groups: Friedman over all scheduled visits, Wilcoxon's signed ranks between any two, p by Holm."""

from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

from serving.cohort.effects import FEWEST, Effect, Values, change_effect, course_effect
from serving.cohort.outcomes import Grid

FRIEDMAN: Final = "Friedman"
WILCOXON: Final = "Wilcoxon"
_EXACTLY: Final = 9
"""Decimals of a change: more are noise of floats, and would break ties."""


@dataclass(frozen=True, slots=True)
class Within:
    """A test within a group, or `reason` why there is none. `n` patients have all visits compared.

    Changes are later less earlier. Of grades also the percentage better by one or more and at grade 0 at the later.
    """

    outcome: str
    group: str
    comparison: str
    test: str
    n: int
    statistic: float | None = None
    p: float | None = None
    p_holm: float | None = None
    effect: Effect | None = None
    median_change: float | None = None
    improved_percent: float | None = None
    at_zero_percent: float | None = None
    reason: str | None = None


def changes_within(grid: Grid) -> tuple[Within, ...]:
    """Every group: all scheduled visits, then each two. Holm's family is the pairs of one group."""
    told: list[Within] = []
    course = grid.course
    for group in range(len(grid.groups)):
        if len(course.weeks) > 2:
            told.append(_all_visits(course, group))
        pairs = [_two_visits(grid, group, pair) for pair in combinations(range(len(grid.weeks)), 2)]
        told += holm(pairs)
    return tuple(told)


def holm(tests: list[Within]) -> list[Within]:
    """The tests with p adjusted over those that have one."""
    ps = [test.p for test in tests if test.p is not None]
    if not ps:
        return tests
    adjusted = iter(multipletests(ps, method="holm")[1])
    return [test if test.p is None else replace(test, p_holm=float(next(adjusted))) for test in tests]


def _all_visits(grid: Grid, group: int) -> Within:
    values = grid.of(group)
    whole = values[np.isfinite(values).all(axis=1)]
    weeks = ", ".join(f"{week:g}" for week in grid.weeks)
    told = Within(grid.outcome.key, grid.groups[group], f"weeks {weeks}", FRIEDMAN, len(whole))
    if len(whole) < FEWEST:
        return replace(told, reason=_too_few(len(whole), "every visit"))
    if (whole == whole[:, :1]).all():
        return replace(told, reason="not tested: nobody changed")
    found = stats.friedmanchisquare(*whole.T)
    return replace(told, statistic=float(found.statistic), p=float(found.pvalue), effect=course_effect(whole))


def _two_visits(grid: Grid, group: int, pair: tuple[int, int]) -> Within:
    earlier, later = pair
    values = grid.of(group)[:, [earlier, later]]
    both = values[np.isfinite(values).all(axis=1)]
    change = np.round(both[:, 1] - both[:, 0], _EXACTLY)
    named = f"week {grid.weeks[later]:g} less {grid.weeks[earlier]:g}"
    told = Within(grid.outcome.key, grid.groups[group], named, WILCOXON, len(both))
    if len(both):
        told = _described(told, both, change, grid.outcome.is_grade)
    if len(both) < FEWEST:
        return replace(told, reason=_too_few(len(both), "both visits"))
    if not change.any():
        return replace(told, reason="not tested: nobody changed")
    found = stats.wilcoxon(change)
    return replace(told, statistic=float(found.statistic), p=float(found.pvalue), effect=change_effect(change))


def _described(told: Within, both: Values, change: NDArray[np.float64], is_grade: bool) -> Within:
    told = replace(told, median_change=float(np.median(change)))
    if not is_grade:
        return told
    return replace(
        told,
        improved_percent=100 * float((change <= -1).mean()),
        at_zero_percent=100 * float((both[:, 1] == 0).mean()),
    )


def _too_few(n: int, what: str) -> str:
    return f"not tested: {n} patients have {what}, {FEWEST} are needed"
