"""How far a followed capsule's distance errs, and how much its grade counts: fitted as the model reads a split."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from datasets.sample import Sample
from model.measure import measured
from model.reading import Reader, Reading
from model.runtime import Session
from model.spec import CapsuleSpread, StripSpec
from model.steps import CAREFUL
from training.calibrate import fit_spread

_AS_DOUBTED: Final = CapsuleSpread(1.0, 1.0, 1e6)
"""Tells a doubt as its exponential: so the doubt can be had back from a reading."""
_SHARES: Final = np.linspace(0, 1, 21)
_TEMPERATURES: Final = np.exp(np.linspace(np.log(0.3), np.log(3.0), 60))
_FEW: Final = 20
"""Of fewer grades nothing is fitted."""


def fitted(joined: Callable[[StripSpec], Session], strip: StripSpec, samples: list[Sample]) -> StripSpec:
    """The spec with its spread and its share of the grade; `joined` opens the model with such a spec."""
    first, second = (
        list(_readings(joined(replace(strip, spread=_AS_DOUBTED, gsus_share=share)), samples)) for share in (0.0, 1.0)
    )
    graded = [
        (one.solar.gsus.probabilities, two.solar.gsus.probabilities, sample.truth.gsus)
        for one, two, sample in zip(first, second, samples, strict=True)
        if one.solar.gsus.probabilities and sample.truth.gsus is not None
    ]
    share, temperature = fit_share(*(np.array(part) for part in zip(*graded, strict=True))) if graded else (0.0, 1.0)
    return replace(strip, spread=_spread(first, samples), gsus_share=share, gsus_temperature=temperature)


def _readings(session: Session, samples: Iterable[Sample]) -> Iterable[Reading]:
    return (reading for _, reading in Reader(session, looks=CAREFUL).read_all(sample.frame for sample in samples))


def _spread(readings: list[Reading], samples: list[Sample]) -> CapsuleSpread | None:
    told: list[tuple[float, float]] = []
    for reading, sample in zip(readings, samples, strict=True):
        distance, truth_mm = measured(reading.measurements, "capsule_distance"), sample.truth.capsule_distance_mm
        if distance and distance.value is not None and distance.spread and truth_mm is not None:
            told.append((abs(distance.value - truth_mm), float(np.log(distance.spread))))
    return fit_spread(np.array(told).reshape(-1, 2))


def fit_share(first: NDArray[np.float64], second: NDArray[np.float64], truth: NDArray[np.int64]) -> tuple[float, float]:
    """Share and temperature of least negative log likelihood of the mean of two networks' grades: probabilities (N, 4)
    of both, true grades (N,). Of a few frames the second one counts nothing.
    """
    if len(truth) < _FEW:
        return 0.0, 1.0
    losses = {}
    for share in _SHARES:
        logits = np.log(np.maximum((1 - share) * first + share * second, 1e-6))
        for temperature in _TEMPERATURES:
            sharpened = logits / temperature
            unlikely = np.log(np.exp(sharpened).sum(axis=1)) - sharpened[np.arange(len(truth)), truth]
            losses[round(float(share), 2), round(float(temperature), 3)] = float(unlikely.mean())
    return min(losses, key=lambda key: losses[key])
