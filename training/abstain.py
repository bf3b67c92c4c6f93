"""Thresholds from risk-coverage curves: below them an answer is withheld, because it would be wrong too often.

Fitted on the calibration split, read with no threshold at all. Phantoms are kinder than patients, so a threshold never
falls under its floor (the defaults of model.spec).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.spec import Thresholds
from training.evaluation.measures import landmark_pairs
from training.evaluation.score import FrameScore

OPEN: Final = Thresholds(view=0.0, structure=0.0, landmark=0.0, grade=0.0)
_FEW: Final = 20

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Risks:
    """The share of wrong answers that is borne: another view, Dice under a half, a point 4 mm off, another grade."""

    view: float = 0.005
    structure: float = 0.02
    landmark: float = 0.03
    grade: float = 0.12


def fit_thresholds(scores: tuple[FrameScore, ...], risks: Risks | None = None) -> Thresholds:
    """The lowest thresholds at which the answered are wrong no more often than is borne, and never under the floors."""
    borne, floors = risks or Risks(), Thresholds()
    seen = [s for s in scores if s.view is s.told_view]
    grades = [s.gsus for s in seen if s.gsus.truth is not None]
    told = {
        "view": _pairs([(s.view_confidence, s.view is s.told_view) for s in scores]),
        "structure": _pairs([(t.confidence, t.dice >= 0.5) for s in seen for t in s.structures if t.labelled]),
        "landmark": _pairs([pair for s in seen for pair in landmark_pairs(s)]),
        "grade": _pairs([(g.confidence, g.likeliest == g.truth) for g in grades]),
    }
    fitted = {name: lowest(*pairs, getattr(borne, name)) for name, pairs in told.items()}
    return replace(floors, **{name: max(getattr(floors, name), round(value, 3)) for name, value in fitted.items()})


def lowest(confidence: Values, right: Values, risk: float) -> float:
    """The lowest confidence from which on the share of wrong answers is at most `risk`.

    0 where too few speak to it, 1 where even the surest are wrong too often.
    """
    if confidence.size < _FEW:
        return 0.0
    order = np.argsort(-confidence, kind="stable")
    falling = confidence[order]
    wrong = np.cumsum(1 - right[order]) / np.arange(1, confidence.size + 1)
    # Equal confidences are answered together.
    complete = np.append(falling[:-1] > falling[1:], True)
    borne = np.flatnonzero(complete & (wrong <= risk))
    if borne.size == 0:
        return 1.0
    last = int(borne[-1])
    return 0.0 if last == confidence.size - 1 else float(falling[last])


def _pairs(pairs: Sequence[tuple[float, float]]) -> tuple[Values, Values]:
    known = np.array([pair for pair in pairs if np.isfinite(pair[0])], dtype=np.float64).reshape(-1, 2)
    return known[:, 0], known[:, 1]
