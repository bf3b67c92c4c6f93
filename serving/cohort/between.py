"""Groups compared at each visit: Kruskal-Wallis over all, Dunn between any two, p adjusted by Holm within the visit."""

from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

import numpy as np
import scikit_posthocs
from scipy import stats

from serving.cohort.effects import FEWEST, Effect, Values, groups_effect, pair_effect
from serving.cohort.outcomes import Grid

KRUSKAL: Final = "Kruskal-Wallis"
DUNN: Final = "Dunn"


@dataclass(frozen=True, slots=True)
class Between:
    """A test between groups at a visit, or `reason` why there is none; with a `reason` and a p, what was left out.

    Cliff's delta is above 0 where the first group named has the higher values.
    """

    outcome: str
    week: float
    comparison: str
    test: str
    n: int
    statistic: float | None = None
    p: float | None = None
    p_holm: float | None = None
    effect: Effect | None = None
    reason: str | None = None


def differences_between(grid: Grid) -> tuple[Between, ...]:
    """Every visit: all groups, then each two. None where there is only one group."""
    if len(grid.groups) < 2:
        return ()
    return tuple(test for week in range(len(grid.weeks)) for test in _visit(grid, week))


def _visit(grid: Grid, week: int) -> list[Between]:
    values = {name: grid.at(group, week) for group, name in enumerate(grid.groups)}
    enough = {name: there for name, there in values.items() if len(there) >= FEWEST}
    n = sum(len(there) for there in enough.values())
    told = Between(grid.outcome.key, grid.weeks[week], " / ".join(enough) or "all groups", KRUSKAL, n)
    few = [f"{name} ({len(there)})" for name, there in values.items() if name not in enough]
    left_out = f"fewer than {FEWEST} patients: {', '.join(few)}" if few else None
    if len(enough) < 2:
        return [replace(told, comparison="all groups", reason=f"not tested: {left_out}")]
    samples = tuple(enough.values())
    if len(np.unique(np.concatenate(samples))) == 1:
        return [replace(told, reason="not tested: all values are alike")]
    found = stats.kruskal(*samples)
    all_groups = replace(
        told,
        statistic=float(found.statistic),
        p=float(found.pvalue),
        effect=groups_effect(samples),
        reason=f"left out, {left_out}" if left_out else None,
    )
    return [all_groups, *_pairs(told, enough)]


def _pairs(told: Between, groups: dict[str, Values]) -> list[Between]:
    """Dunn's test of each two groups, on the ranks of all groups."""
    samples = list(groups.values())
    raw = scikit_posthocs.posthoc_dunn(samples).to_numpy()
    adjusted = scikit_posthocs.posthoc_dunn(samples, p_adjust="holm").to_numpy()
    names = list(groups)
    return [
        replace(
            told,
            comparison=f"{names[i]} / {names[j]}",
            test=DUNN,
            n=len(samples[i]) + len(samples[j]),
            p=float(raw[i, j]),
            p_holm=float(adjusted[i, j]),
            effect=pair_effect(samples[i], samples[j]),
        )
        for i, j in combinations(range(len(names)), 2)
    ]
