"""Whether a confidence means what it says: calibration error, reliability, and risk against coverage."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

BINS: Final = 10

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reliability:
    """`error` is the expected calibration error (Guo 2017); `bins` are (mean confidence, mean rightness, count)."""

    error: float
    bins: tuple[tuple[float, float, int], ...]
    risk_coverage: tuple[tuple[float, float], ...]


def reliability(confidence: Values, right: Values) -> Reliability:
    """Of confidences (N,) in 0..1 with how right each was (N,), 0..1. Both empty: an error of NaN."""
    known = np.isfinite(confidence) & np.isfinite(right)
    confidence, right = confidence[known], right[known]
    if confidence.size == 0:
        return Reliability(float("nan"), (), ())
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    bins = [
        (float(confidence[place == b].mean()), float(right[place == b].mean()), int((place == b).sum()))
        for b in range(BINS)
        if (place == b).any()
    ]
    error = sum(count * abs(told - was) for told, was, count in bins) / confidence.size
    return Reliability(float(error), tuple(bins), risk_coverage(confidence, right))


def risk_coverage(confidence: Values, right: Values, steps: int = 20) -> tuple[tuple[float, float], ...]:
    """(coverage, risk): the mean wrongness of the most confident share, for shares up to all."""
    order = np.argsort(-confidence, kind="stable")
    risk = np.cumsum(1 - right[order]) / np.arange(1, len(order) + 1)
    shares = np.linspace(1 / steps, 1, steps)
    at = np.clip(np.ceil(shares * len(order)).astype(int), 1, len(order)) - 1
    return tuple((float(share), float(risk[k])) for share, k in zip(shares, at, strict=True))
