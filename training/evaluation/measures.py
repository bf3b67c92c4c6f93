"""Scores -> the figures of one kind: structures, landmarks, grade, capsule, and what confidences are worth."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score

from model.anatomy import GRADES, STRUCTURES
from training.evaluation.reliability import Reliability, reliability
from training.evaluation.score import FrameScore, StructureScore

RESAMPLES: Final = 500
UNDER_MM: Final = 2.0
NEAR_MM: Final = 4.0
"""A landmark told within this distance is the one that was meant: what its confidence claims."""

Counts = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class StructureFigures:
    """A structure over the frames that show it: mean Dice and surface Dice at 1 mm, median HD95, shares found, missed.

    `false` is its share among frames where it was looked for and is not.
    """

    name: str
    frames: int
    dice: float
    nsd: float
    hd95_mm: float
    found: float
    missed: float
    false: float


@dataclass(frozen=True, slots=True)
class LandmarkFigures:
    """Errors in mm over landmarks the truth has. `within_spread`: share of errors under twice the told spread.

    `false` is the share told of those that were looked for and are not there.
    """

    median_mm: float
    p95_mm: float
    share_under_2_mm: float
    found: float
    within_spread: float
    false: float


@dataclass(frozen=True, slots=True)
class ReviewFigures:
    """Grades whose measured shape contradicts them: their share of the answered, how many of them are wrong, and how
    many of the wrong grades are among them.
    """

    share: float
    wrong: float
    caught: float


@dataclass(frozen=True, slots=True)
class GradeFigures:
    """The grey-scale grade over gradable frames; `kappa` quadratic, with its 95 % bootstrap interval by patient."""

    frames: int
    answered: float
    exact: float
    within_one: float
    exact_of_all: float
    kappa: float
    kappa_interval: tuple[float, float]
    confusion: Counts
    review: ReviewFigures


@dataclass(frozen=True, slots=True)
class CapsuleFigures:
    """Reading minus truth of the capsule distance: bias and limits of agreement (Bland & Altman), mm.

    `surer_limits_mm` are those of the half with the smaller told spread; `within_spread` as with landmarks.
    """

    frames: int
    bias_mm: float
    limits_mm: tuple[float, float]
    surer_limits_mm: tuple[float, float]
    within_spread: float


def mean(values: Sequence[Any] | NDArray[Any]) -> float:
    """The mean; NaN of nothing."""
    return float(np.mean(values)) if len(values) else float("nan")


def structure_figures(row: int, scores: Sequence[StructureScore]) -> StructureFigures:
    """Of the structure in that row of the anatomy's table."""
    wanted = [s for s in scores if s.wanted]
    distances = np.array([s.hd95_mm for s in wanted if not np.isnan(s.hd95_mm)])
    found = mean([s.found for s in wanted])
    return StructureFigures(
        STRUCTURES[row].name,
        len(wanted),
        mean([s.dice for s in wanted]),
        mean([s.nsd for s in wanted if np.isfinite(s.nsd)]),
        float(np.median(distances)) if distances.size else float("nan"),
        found,
        1 - found,
        mean([s.found for s in scores if s.labelled and not s.wanted]),
    )


def false_share(scores: Sequence[FrameScore]) -> float:
    """The share told of all structures that were looked for and are not there."""
    return mean(
        [t.found for s in scores for t in s.structures if t.labelled and not t.wanted and not np.isfinite(t.dice)]
    )


def landmark_figures(scores: Sequence[FrameScore]) -> LandmarkFigures:
    """Over all landmarks together."""
    errors = np.array([e for s in scores for e in s.landmark_error_mm])
    spreads = np.array([e for s in scores for e in s.landmark_spread_mm])
    there = ~np.isnan(errors)
    seen = errors[np.isfinite(errors)]
    both = np.isfinite(errors) & np.isfinite(spreads)
    return LandmarkFigures(
        float(np.median(seen)) if seen.size else float("nan"),
        float(np.percentile(seen, 95)) if seen.size else float("nan"),
        mean(errors[there] < UNDER_MM),
        mean(np.isfinite(errors[there])),
        mean(errors[both] < 2 * spreads[both]),
        mean([told for s in scores for told in s.landmark_false if told is not None]),
    )


def grade_figures(scores: Sequence[FrameScore], resamples: int = RESAMPLES) -> GradeFigures:
    """Over frames with a true grade; no interval (NaN) without `resamples`."""
    graded = [s for s in scores if s.gsus.truth is not None]
    told = [s for s in graded if s.gsus.told is not None]
    pairs = np.array([(s.gsus.truth, s.gsus.told) for s in told]).reshape(-1, 2)
    patients = np.array([s.patient for s in told])
    off = np.abs(pairs[:, 0] - pairs[:, 1])
    return GradeFigures(
        len(graded),
        len(pairs) / max(len(graded), 1),
        mean(off == 0),
        mean(off <= 1),
        float((off == 0).sum()) / max(len(graded), 1),
        kappa(pairs),
        _kappa_interval(pairs, patients, resamples),
        confusion(pairs, len(GRADES)),
        _review(off > 0, np.array([s.gsus.review for s in told], bool)),
    )


def capsule_figures(scores: Sequence[FrameScore]) -> CapsuleFigures:
    """Over frames where truth and reading both have a distance."""
    told = [(s.told_distance_mm, s.distance_mm, s.told_distance_spread_mm) for s in scores]
    rows = [(a - b, c if c is not None else np.nan) for a, b, c in told if a is not None and b is not None]
    difference, spread = np.array(rows).reshape(-1, 2).T
    known = np.isfinite(spread)
    surer = difference[known][spread[known] <= np.median(spread[known])] if known.any() else difference[:0]
    within = mean(np.abs(difference[known]) < 2 * spread[known])
    return CapsuleFigures(len(rows), mean(difference), _limits(difference), _limits(surer), within)


def calibration(scores: Sequence[FrameScore]) -> dict[str, Reliability]:
    """What is told with a confidence: views, grades, each structure's pixels, each landmark's place."""
    graded = [s.gsus for s in scores if s.gsus.truth is not None and s.gsus.likeliest is not None]
    drawn = [t for s in scores for t in s.structures if t.labelled and np.isfinite(t.confidence)]
    told: dict[str, list[tuple[float, float]]] = {
        "view": [(s.view_confidence, float(s.view is s.told_view)) for s in scores],
        "grade": [(g.confidence, float(g.truth == g.likeliest)) for g in graded],
        "structure": [(t.confidence, t.precision) for t in drawn],
        "landmark": [pair for s in scores for pair in landmark_pairs(s)],
    }
    columns = {name: np.array(pairs).reshape(-1, 2) for name, pairs in told.items()}
    return {name: reliability(pair[:, 0], pair[:, 1]) for name, pair in columns.items()}


def confusion(pairs: NDArray[np.int64], size: int) -> Counts:
    """Counts by truth (rows) and reading (columns) of pairs (N, 2)."""
    table = np.zeros((size, size), int)
    for row, column in pairs:
        table[row, column] += 1
    return tuple(tuple(int(v) for v in row) for row in table)


def landmark_pairs(score: FrameScore) -> list[tuple[float, float]]:
    """Confidence of each told landmark and whether it lies near its place; one that is not there is wrong."""
    columns = zip(score.landmark_confidence, score.landmark_error_mm, score.landmark_false, strict=True)
    return [
        (confidence, float(error < NEAR_MM))
        for confidence, error, false in columns
        if np.isfinite(confidence) and (np.isfinite(error) or false)
    ]


def _review(wrong: NDArray[np.bool_], review: NDArray[np.bool_]) -> ReviewFigures:
    return ReviewFigures(mean(review), mean(wrong[review]), mean(review[wrong]))


def kappa(pairs: NDArray[np.int64]) -> float:
    """Quadratic weighted kappa of grades (N, 2), true and told; NaN where there are too few, or only one grade."""
    if len(pairs) < 2 or len(np.unique(pairs)) < 2:
        return float("nan")
    return float(cohen_kappa_score(pairs[:, 0], pairs[:, 1], labels=GRADES, weights="quadratic"))


def _kappa_interval(pairs: NDArray[np.int64], patients: NDArray[np.str_], resamples: int) -> tuple[float, float]:
    """Patients drawn again with replacement, all of a patient's frames together."""
    names, owner = np.unique(patients, return_inverse=True)
    if len(names) < 2 or not resamples:
        return float("nan"), float("nan")
    rows = [np.flatnonzero(owner == k) for k in range(len(names))]
    rng = np.random.default_rng(0)
    draws = [np.concatenate([rows[k] for k in rng.integers(0, len(names), len(names))]) for _ in range(resamples)]
    low, high = np.nanpercentile([kappa(pairs[drawn]) for drawn in draws], (2.5, 97.5))
    return float(low), float(high)


def _limits(difference: NDArray[np.float64]) -> tuple[float, float]:
    """Limits of agreement; NaN for fewer than two."""
    bias, spread = mean(difference), float(difference.std(ddof=1)) if difference.size > 1 else float("nan")
    return bias - 1.96 * spread, bias + 1.96 * spread
