"""The figures split by what the frames are like: probe, age, BMI, gain, depth, flip."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from training.evaluation.measures import (
    CapsuleFigures,
    GradeFigures,
    LandmarkFigures,
    calibration,
    capsule_figures,
    false_share,
    grade_figures,
    landmark_figures,
    mean,
)
from training.evaluation.score import FrameScore


@dataclass(frozen=True, slots=True)
class GroupFigures:
    """The figures of the frames of one kind, frames that are no hip included; `gsus` without an interval.

    `dice`, `nsd` and `found` are means over the structures asked for, `false` is the share of those that are not there,
    `calibration_error` by what is told.
    """

    factor: str
    group: str
    frames: int
    view: float
    dice: float
    nsd: float
    found: float
    false: float
    landmarks: LandmarkFigures
    gsus: GradeFigures
    capsule: CapsuleFigures
    calibration_error: dict[str, float]


def split(scores: Sequence[FrameScore]) -> tuple[GroupFigures, ...]:
    """Every factor's groups, in the order of their names."""
    return tuple(group for factor, of in FACTORS.items() for group in _groups(factor, of, scores))


def _groups(factor: str, of: Callable[[FrameScore], str | None], scores: Sequence[FrameScore]) -> list[GroupFigures]:
    parts: dict[str, list[FrameScore]] = defaultdict(list)
    for score in scores:
        name = of(score)
        if name is not None:
            parts[name].append(score)
    return [_figures(factor, name, part) for name, part in sorted(parts.items())]


def _figures(factor: str, name: str, part: Sequence[FrameScore]) -> GroupFigures:
    wanted = [t for s in part for t in s.structures if t.wanted]
    return GroupFigures(
        factor=factor,
        group=name,
        frames=len(part),
        view=mean([s.view is s.told_view for s in part]),
        dice=mean([t.dice for t in wanted]),
        nsd=mean([t.nsd for t in wanted if np.isfinite(t.nsd)]),
        found=mean([t.found for t in wanted]),
        false=false_share(part),
        landmarks=landmark_figures(part),
        gsus=grade_figures(part, resamples=0),
        capsule=capsule_figures(part),
        calibration_error={told: one.error for told, one in calibration(part).items()},
    )


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
