"""What smoothing does: landmark jitter on a still cine, and lag behind a moving one, against each frame by itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from datasets.phantom.cine import Motion, cine
from datasets.sample import Sample
from model.anatomy import HIP_VIEWS, LANDMARKS
from model.frame import Frame
from model.reading import Reader, Reading
from model.tracking import Track

_SEEDS: Final = (3_200_001, 3_200_002, 3_200_003)
_FRAMES: Final = 40
_RATE: Final = 30.0
_SETTLED: Final = 10
_STILL: Final = Motion(0, 60, 0, 60, 0, 20, 0)
_MOVING: Final = Motion(5, 60, 0.3, 80, 0.08, 20, 0)
"""A probe slid by 5 mm each way, at up to 16 mm/s."""
_ON_IT_MM: Final = 5.0
"""Further off than this the network has found another thing, and what follows that does not lag behind the landmark."""


@dataclass(frozen=True, slots=True)
class Steadiness:
    """`jitter` is the steadied landmarks' SD over the unsteadied ones' on still cines, the median over landmarks;
    `lag` how many frames they lie behind them on moving ones, where those are on the landmark:
    the median and the worst."""

    jitter: float
    lag: float
    worst_lag: float


def steadiness(reader: Reader) -> Steadiness:
    """Measured on phantom cines of all hip views."""
    jitters: list[float] = []
    lags: list[float] = []
    for view in HIP_VIEWS:
        for seed in _SEEDS:
            plain, steady, _, _ = _followed(reader, cine(seed, view, _FRAMES, motion=_STILL))
            jitters += [b / a for a, b in zip(_sd(plain), _sd(steady), strict=True) if a > 0.02]
            plain, steady, truth, off_mm = _followed(reader, cine(seed, view, _FRAMES, motion=_MOVING))
            plain[off_mm > _ON_IT_MM] = np.nan
            lags += _lags(plain, steady, truth)
    return Steadiness(float(np.median(jitters)), float(np.median(lags)), float(np.max(np.abs(lags))))


Places = NDArray[np.float64]
"""(frames, landmarks, 2) as (x, y), NaN where a landmark was not told."""


def _followed(reader: Reader, samples: Iterator[Sample]) -> tuple[Places, Places, Places, NDArray[np.float64]]:
    """Places by each frame alone, by the smoothed cine and in truth, and by how many mm the first are off."""
    track: Track | None = None
    plain, steady, truth, off_mm = [], [], [], []
    for k, sample in enumerate(samples):
        plain.append(_places(reader.read(sample.frame)))
        reading, track = reader.follow(sample.frame, track, k / _RATE)
        steady.append(_places(reading))
        truth.append(sample.truth.landmarks_xy)
        off_mm.append(_distances_mm(sample.frame, plain[-1], truth[-1]))
    return np.array(plain), np.array(steady), np.array(truth), np.array(off_mm)


def _distances_mm(frame: Frame, told: Places, truth: Places) -> NDArray[np.float64]:
    spacings = [frame.spacing_at(x, y) or (np.nan, np.nan) for x, y in truth]
    return np.asarray(np.hypot(*((told - truth) * np.array(spacings)[:, ::-1]).T))


def _places(reading: Reading) -> Places:
    told = {point.name: (point.x, point.y) for point in reading.landmarks}
    return np.array([told.get(landmark.name, (np.nan, np.nan)) for landmark in LANDMARKS])


def _sd(places: Places) -> list[float]:
    settled = places[_SETTLED:]
    there = np.isfinite(settled).all(axis=(0, 2))
    return [float(v) for v in np.hypot(*settled[:, there].std(axis=0).T)]


def _lags(plain: Places, steady: Places, truth: Places) -> list[float]:
    """Frames behind, by regression of what smoothing moved on the truth's velocity."""
    velocity = np.gradient(truth, axis=0)[_SETTLED:-1]
    behind = (plain - steady)[_SETTLED:-1]
    lags = []
    for k in range(truth.shape[1]):
        there = np.isfinite(velocity[:, k]).all(axis=1) & np.isfinite(behind[:, k]).all(axis=1)
        if there.sum() >= _FRAMES // 2:
            v = velocity[there, k]
            lags.append(float((behind[there, k] * v).sum() / (v * v).sum()))
    return lags
