"""Many frames' scores -> the figures of an evaluation, in all and split by what the frames are like."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score

from model.anatomy import GRADES, STRUCTURES, VIEWS, View
from training.evaluation.reliability import Reliability, reliability
from training.evaluation.score import FrameScore, StructureScore

RESAMPLES: Final = 500
NEAR_MM: Final = 2.0

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
    """Errors in mm over landmarks the truth has. `within_spread`: share of errors under twice the told spread."""

    median_mm: float
    p95_mm: float
    share_under_2_mm: float
    found: float
    within_spread: float


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


@dataclass(frozen=True, slots=True)
class GroupFigures:
    """The main figures of the frames of one kind."""

    factor: str
    group: str
    frames: int
    view: float
    dice: float
    landmark_median_mm: float
    gsus_exact: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All figures of one evaluation. `provenance` says what the frames are, so that no phantom passes for a patient."""

    model: str
    sha256: str
    provenance: str
    frames: int
    view_accuracy: float
    view_confusion: Counts
    structures: tuple[StructureFigures, ...]
    structure_false: float
    landmarks: LandmarkFigures
    gsus: GradeFigures
    capsule: CapsuleFigures
    vessel_dice: float
    vessel_frames: int
    other_frames: int
    other_with_structures: float
    other_with_grade: float
    calibration: dict[str, Reliability]
    groups: tuple[GroupFigures, ...]
    scores: tuple[FrameScore, ...]

    def structure(self, name: str) -> StructureFigures:
        """One structure's figures."""
        return next(s for s in self.structures if s.name == name)


def summarise(scores: tuple[FrameScore, ...], model: str, sha256: str, provenance: str) -> Evaluation:
    """The figures of many frames."""
    views = np.array([(VIEWS.index(s.view), VIEWS.index(s.told_view)) for s in scores])
    structures = tuple(_structure(k, [s.structures[k] for s in scores]) for k in range(len(STRUCTURES)))
    absent = [t for s in scores for t in s.structures if t.labelled and not t.wanted and not np.isfinite(t.dice)]
    vessels = np.array([s.vessel_dice for s in scores if np.isfinite(s.vessel_dice)])
    others = [s for s in scores if s.view is View.OTHER]
    return Evaluation(
        model=model,
        sha256=sha256,
        provenance=provenance,
        frames=len(scores),
        view_accuracy=mean(views[:, 0] == views[:, 1]),
        view_confusion=_confusion(views, len(VIEWS)),
        structures=structures,
        structure_false=mean([t.found for t in absent]),
        landmarks=_landmarks(scores),
        gsus=_grade(scores),
        capsule=_capsule(scores),
        vessel_dice=mean(vessels),
        vessel_frames=len(vessels),
        other_frames=len(others),
        other_with_structures=mean([any(t.found for t in s.structures) for s in others]),
        other_with_grade=mean([s.gsus.told is not None for s in others]),
        calibration=_calibration(scores),
        groups=tuple(group for factor, of in FACTORS.items() for group in _groups(factor, of, scores)),
        scores=scores,
    )


def mean(values: Sequence[Any] | NDArray[Any]) -> float:
    """The mean; NaN of nothing."""
    return float(np.mean(values)) if len(values) else float("nan")


def _structure(row: int, scores: list[StructureScore]) -> StructureFigures:
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


def _landmarks(scores: Sequence[FrameScore]) -> LandmarkFigures:
    errors = np.array([e for s in scores for e in s.landmark_error_mm])
    spreads = np.array([e for s in scores for e in s.landmark_spread_mm])
    there = ~np.isnan(errors)
    seen = errors[np.isfinite(errors)]
    both = np.isfinite(errors) & np.isfinite(spreads)
    return LandmarkFigures(
        float(np.median(seen)) if seen.size else float("nan"),
        float(np.percentile(seen, 95)) if seen.size else float("nan"),
        mean(errors[there] < NEAR_MM),
        mean(np.isfinite(errors[there])),
        mean(errors[both] < 2 * spreads[both]),
    )


def _grade(scores: Sequence[FrameScore]) -> GradeFigures:
    graded = [s for s in scores if s.gsus.truth is not None]
    pairs = np.array([(s.gsus.truth, s.gsus.told) for s in graded if s.gsus.told is not None]).reshape(-1, 2)
    patients = np.array([s.patient for s in graded if s.gsus.told is not None])
    off = np.abs(pairs[:, 0] - pairs[:, 1])
    return GradeFigures(
        len(graded),
        len(pairs) / max(len(graded), 1),
        mean(off == 0),
        mean(off <= 1),
        float((off == 0).sum()) / max(len(graded), 1),
        kappa(pairs),
        _kappa_interval(pairs, patients),
        _confusion(pairs, len(GRADES)),
    )


def kappa(pairs: NDArray[np.int64]) -> float:
    """Quadratic weighted kappa of grades (N, 2), true and told; NaN where there are too few, or only one grade."""
    if len(pairs) < 2 or len(np.unique(pairs)) < 2:
        return float("nan")
    return float(cohen_kappa_score(pairs[:, 0], pairs[:, 1], labels=GRADES, weights="quadratic"))


def _kappa_interval(pairs: NDArray[np.int64], patients: NDArray[np.str_]) -> tuple[float, float]:
    """Patients drawn again with replacement, all of a patient's frames together."""
    names, owner = np.unique(patients, return_inverse=True)
    if len(names) < 2:
        return float("nan"), float("nan")
    rows = [np.flatnonzero(owner == k) for k in range(len(names))]
    rng = np.random.default_rng(0)
    draws = [np.concatenate([rows[k] for k in rng.integers(0, len(names), len(names))]) for _ in range(RESAMPLES)]
    low, high = np.nanpercentile([kappa(pairs[drawn]) for drawn in draws], (2.5, 97.5))
    return float(low), float(high)


def _capsule(scores: Sequence[FrameScore]) -> CapsuleFigures:
    told = [(s.told_distance_mm, s.distance_mm, s.told_distance_spread_mm) for s in scores]
    rows = [(a - b, c if c is not None else np.nan) for a, b, c in told if a is not None and b is not None]
    difference, spread = np.array(rows).reshape(-1, 2).T
    known = np.isfinite(spread)
    surer = difference[known][spread[known] <= np.median(spread[known])] if known.any() else difference[:0]
    within = mean(np.abs(difference[known]) < 2 * spread[known])
    return CapsuleFigures(len(rows), mean(difference), _limits(difference), _limits(surer), within)


def _limits(difference: NDArray[np.float64]) -> tuple[float, float]:
    """Limits of agreement; NaN for fewer than two."""
    bias, spread = mean(difference), float(difference.std(ddof=1)) if difference.size > 1 else float("nan")
    return bias - 1.96 * spread, bias + 1.96 * spread


def _calibration(scores: Sequence[FrameScore]) -> dict[str, Reliability]:
    graded = [s.gsus for s in scores if s.gsus.truth is not None and s.gsus.likeliest is not None]
    drawn = [t for s in scores for t in s.structures if t.labelled and np.isfinite(t.confidence)]
    told: dict[str, list[tuple[float, float]]] = {
        "view": [(s.view_confidence, float(s.view is s.told_view)) for s in scores],
        "grade": [(g.confidence, float(g.truth == g.likeliest)) for g in graded],
        "structure": [(t.confidence, t.precision) for t in drawn],
    }
    columns = {name: np.array(pairs).reshape(-1, 2) for name, pairs in told.items()}
    return {name: reliability(pair[:, 0], pair[:, 1]) for name, pair in columns.items()}


def _confusion(pairs: NDArray[np.int64], size: int) -> Counts:
    table = np.zeros((size, size), int)
    for row, column in pairs:
        table[row, column] += 1
    return tuple(tuple(int(v) for v in row) for row in table)


def _groups(factor: str, of: Callable[[FrameScore], str | None], scores: Sequence[FrameScore]) -> list[GroupFigures]:
    parts: dict[str, list[FrameScore]] = defaultdict(list)
    for score in scores:
        name = of(score) if score.view is not View.OTHER else None
        if name is not None:
            parts[name].append(score)
    return [
        GroupFigures(
            factor,
            name,
            len(part),
            mean([s.view is s.told_view for s in part]),
            mean([d for s in part if np.isfinite(d := s.mean_dice)]),
            _landmarks(part).median_mm,
            _grade_exact(part),
        )
        for name, part in sorted(parts.items())
    ]


def _grade_exact(scores: Sequence[FrameScore]) -> float:
    return mean([s.gsus.truth == s.gsus.told for s in scores if s.gsus.truth is not None and s.gsus.told is not None])


def _banded(value: float | None, bounds: tuple[float, ...], unit: str) -> str | None:
    """The band a value lies in, named so that the bands sort by size."""
    if value is None:
        return None
    k = int(np.searchsorted(bounds, value, side="right"))
    if k == 0:
        return f"1: under {bounds[0]:g} {unit}"
    if k == len(bounds):
        return f"{k + 1}: from {bounds[-1]:g} {unit}"
    return f"{k + 1}: {bounds[k - 1]:g} to {bounds[k]:g} {unit}"


FACTORS: Final[dict[str, Callable[[FrameScore], str | None]]] = {
    "view": lambda s: str(s.view),
    "probe": lambda s: s.acquisition.probe,
    "age": lambda s: _banded(s.age_years, (3, 8, 12, 18), "years"),
    "BMI": lambda s: _banded(s.acquisition.bmi, (18.5, 25, 30), "kg/m2"),
    "gain": lambda s: _banded(s.acquisition.gain_db, (-4, 4), "dB"),
    "depth": lambda s: _banded(s.acquisition.depth_mm, (35, 50, 70), "mm"),
    "flipped": lambda s: None if s.acquisition.flipped is None else ("yes" if s.acquisition.flipped else "no"),
}
"""What the figures are split by; None leaves a frame out."""
