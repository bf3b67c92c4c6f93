"""Effect sizes, and 95 % intervals of those that have a sign: bootstrap over patients, percentiles, one fixed seed.

Kendall's W and epsilon squared have none: they cannot be below 0, lie above it by chance, by (groups - 1) / (n - 1) on
average, and in resamples by more still, so that percentiles exclude 0 whatever the truth is.
A resampled statistic takes patients along its last axis, so that all resamples are computed at once.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

RESAMPLES: Final = 2000
SEED: Final = 20261121
FEWEST: Final = 3
"""With fewer patients nothing is tested."""

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Effect:
    """An effect size and its interval, which is None where resamples do not give one."""

    name: str
    value: float
    low: float | None
    high: float | None


def rank_biserial(change: Values, axis: int = -1) -> Values:
    """Matched-pairs rank-biserial correlation of changes (Kerby 2014): -1 all fall, +1 all rise, 0 no change.

    Patients without a change take no part, as in Wilcoxon's test.
    """
    moved = change != 0
    ranks = stats.rankdata(np.abs(change), axis=axis) - (~moved).sum(axis=axis, keepdims=True)
    total = np.where(moved, ranks, 0.0).sum(axis=axis)
    return np.asarray((np.sign(change) * np.where(moved, ranks, 0.0)).sum(axis=axis) / np.maximum(total, 1.0))


def kendall_w(visits: tuple[Values, ...]) -> float:
    """Kendall's W over repeated visits, 0 to 1, from Friedman's chi-squared; 0 where nothing changes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        chi2 = stats.friedmanchisquare(*visits).statistic
    return float(np.nan_to_num(chi2 / (len(visits[0]) * (len(visits) - 1))))


def cliffs_delta(first: Values, second: Values, axis: int = -1) -> Values:
    """Cliff's delta: how much likelier a patient of `first` has the higher value than the lower, -1 to 1."""
    u = stats.mannwhitneyu(first, second, axis=axis, method="asymptotic").statistic
    return np.asarray(2 * u / (first.shape[axis] * second.shape[axis]) - 1)


def epsilon_squared(*groups: Values) -> float:
    """Rank epsilon squared of Kruskal-Wallis, 0 to 1: H / (n - 1); 0 where all values are alike."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        h = stats.kruskal(*groups).statistic
    return float(np.nan_to_num(h / (sum(map(len, groups)) - 1)))


def change_effect(change: Values) -> Effect:
    """Of changes (n,)."""
    return _effect("rank-biserial r", (change,), rank_biserial)


def course_effect(values: Values) -> Effect:
    """Of complete courses (n, visits)."""
    return Effect("Kendall's W", kendall_w(tuple(values.T)), None, None)


def pair_effect(first: Values, second: Values) -> Effect:
    """Of two groups (n,), (m,); patients are drawn anew within each."""
    return _effect("Cliff's delta", (first, second), cliffs_delta)


def groups_effect(groups: tuple[Values, ...]) -> Effect:
    """Of all groups."""
    return Effect("epsilon squared", epsilon_squared(*groups), None, None)


def interval(samples: tuple[NDArray[Any], ...], statistic: Callable[..., Any], *, vectorized: bool = True) -> Values:
    """The 2.5th and 97.5th percentiles (2,) of a statistic over resamples; NaN where it cannot be resampled, and where
    it is the same in nearly all of them, as where everybody falls: an interval without width would tell certainty.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = stats.bootstrap(
            samples,
            statistic,
            n_resamples=RESAMPLES,
            vectorized=vectorized,
            method="percentile",
            rng=np.random.default_rng(SEED),
        )
    low, high = found.confidence_interval
    return np.array([low, high] if low < high else [np.nan, np.nan])


def _effect(name: str, samples: tuple[NDArray[Any], ...], statistic: Callable[..., Any]) -> Effect:
    low, high = interval(samples, statistic)
    return Effect(name, float(statistic(*samples)), finite(low), finite(high))


def finite(value: float) -> float | None:
    """The value; None where it is none."""
    return float(value) if np.isfinite(value) else None
