"""Temperatures of view, structures and grade, spreads of landmarks and capsule, fitted on a split of their own.

Never the one they are examined on.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.anatomy import LANDMARKS, STRUCTURE_NAMES
from model.network.hipnet import HipNet, Logits
from model.network.pair import Pair
from model.network.served import decode_landmarks, grade_probabilities
from model.spec import CapsuleSpread, Temperatures
from training.evaluation.score import FrameScore
from training.feed import Batch, Example, plain_batches

_GRID = np.exp(np.linspace(np.log(0.3), np.log(4.0), 90))
_VIEW_FLOOR = 0.7
"""Views are hardly ever wrong on phantoms and would ask for 0, which knows nothing of overconfidence elsewhere."""

_FEW = 20
"""Of fewer answers nothing is fitted."""
_WITHIN_TWO_SD = 1 - float(np.exp(-2))
_WITHIN_TWO_SD_ON_A_LINE = 0.9545
_CALIBRATED = 0.95
"""The share of doubts a spread is told for by its curve: those above are too few to fit a curve to."""
_RECESS = STRUCTURE_NAMES.index("anterior_recess")


@dataclass(frozen=True, slots=True)
class _Collected:
    """Logits with their answers: rows of view, of grade, and of pixels read as a structure (fully labelled frames).

    `misses` is each landmark's error over its spread.
    """

    view: Tensor
    view_truth: Tensor
    gsus: Tensor
    gsus_truth: Tensor
    pixels: Tensor
    pixel_truth: Tensor
    misses: Tensor


def fit_temperatures(network: HipNet | Pair, examples: tuple[Example, ...]) -> Temperatures:
    """The temperatures of least negative log likelihood on a calibration split; 1 where nothing speaks to it."""
    if not examples:
        return Temperatures()
    told = _collect(network, examples)
    return Temperatures(
        view=max(_VIEW_FLOOR, _best(told.view, told.view_truth, lambda logits: logits.softmax(dim=1))),
        structures=_best(told.pixels, told.pixel_truth, lambda logits: logits.softmax(dim=1)),
        gsus=_best(told.gsus, told.gsus_truth, grade_probabilities),
        spread=_spread(told.misses),
    )


def fit_gsus_of_two(probabilities: Tensor, truth: Tensor) -> float:
    """The temperature of the mean of two looks' grades: `probabilities` (N, 4) at temperature 1, true grades (N,)."""
    return _best(probabilities.clamp(min=1e-6).log(), truth, lambda logits: logits.softmax(dim=1))


def fit_centroid_spread(scores: tuple[FrameScore, ...]) -> float | None:
    """The share of a structure's radius that its centroid's spread is; `scores` were read with a share of 1. None where
    too few frames tell it, as without a scale.
    """
    rows = [k for k, landmark in enumerate(LANDMARKS) if landmark.centroid_of is not None]
    pairs = np.array([(s.landmark_error_mm[k], s.landmark_spread_mm[k]) for s in scores for k in rows]).reshape(-1, 2)
    told = pairs[np.isfinite(pairs).all(axis=1)]
    return _spread(torch.from_numpy(told[:, 0] / told[:, 1])) if len(told) >= _FEW else None


def fit_capsule_spread(scores: tuple[FrameScore, ...]) -> CapsuleSpread | None:
    """How far a distance between outlines errs by the recess' confidence; None where too few speak to it."""
    told = [
        (abs(s.told_distance_mm - s.distance_mm), 1 - s.structures[_RECESS].confidence)
        for s in scores
        if s.told_distance_mm is not None and s.distance_mm is not None
    ]
    return fit_spread(np.array(told).reshape(-1, 2))


def fit_spread(told: NDArray[np.float64]) -> CapsuleSpread | None:
    """How far a distance errs by its doubt, of pairs (N, 2) of both; None where they are too few.

    The growth is the slope of the error's logarithm, the level such that 95 % of the errors lie within twice the SD.
    """
    if len(told) < _FEW:
        return None
    error, doubt = told.T
    growth = max(float(np.polyfit(doubt, np.log(np.maximum(error, 0.01)), 1)[0]), 0.0) if np.ptp(doubt) else 0.0
    level = float(np.quantile(error / np.exp(growth * doubt), _WITHIN_TWO_SD_ON_A_LINE)) / 2
    sure = max(round(level, 3), 0.01)
    widest = sure * float(np.exp(growth * np.quantile(doubt, _CALIBRATED)))
    return CapsuleSpread(sure, round(growth, 3), round(max(widest, sure), 3))


def _spread(misses: Tensor) -> float:
    """The factor by which 86 % of the errors lie within twice the spread, as with a Gaussian in the plane."""
    if len(misses) < _FEW:
        return 1.0
    return max(float(torch.quantile(misses, _WITHIN_TWO_SD)) / 2, 0.01)


def _best(logits: Tensor, truth: Tensor, probabilities: Callable[[Tensor], Tensor]) -> float:
    if len(truth) < _FEW:
        return 1.0
    rows = torch.arange(len(truth))
    losses = [float(-probabilities(logits / t)[rows, truth].clamp(min=1e-6).log().mean()) for t in _GRID]
    return float(_GRID[int(np.argmin(losses))])


def _collect(network: HipNet | Pair, examples: tuple[Example, ...]) -> _Collected:
    network.eval()
    parts: list[tuple[Tensor, ...]] = []
    picker = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for batch in plain_batches(examples, 16):
            logits, target = network(batch.pictures), batch.target
            known = target.gsus >= 0
            ids = target.shares[:, : logits.structures.shape[1]].argmax(dim=1)
            won = logits.structures.argmax(dim=1)
            complete = target.merge.diagonal(dim1=1, dim2=2).all(dim=1)
            told = ((won > 0) & complete[:, None, None]).flatten().nonzero().squeeze(1)
            some = told[torch.randperm(len(told), generator=picker)[:4000]]
            pixels = logits.structures.permute(0, 2, 3, 1).reshape(-1, logits.structures.shape[1])[some]
            grades = (logits.gsus[known], target.gsus[known])
            parts.append((logits.view, target.view, *grades, pixels, ids.flatten()[some], _misses(logits, batch)))
    return _Collected(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _misses(logits: Logits, batch: Batch) -> Tensor:
    """Errors of the landmarks that are there, over their spread."""
    told = decode_landmarks(logits.heat, logits.presence, batch.pictures.shape[3] / logits.heat.shape[3])
    errors = (told[..., :2] - batch.target.points).norm(dim=2)
    there = torch.isfinite(errors)
    misses: Tensor = (errors / told[..., 3].clamp(min=1e-3))[there]
    return misses
