"""Temperatures of view, structures and grade, fitted on a split of their own (never the one they are examined on)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model.network.hipnet import HipNet
from model.network.served import grade_probabilities
from model.spec import Temperatures
from training.feed import Example, plain_batches

_GRID = np.exp(np.linspace(np.log(0.7), np.log(4.0), 60))
"""From 0.7 up: logits never wrong on their calibration split would ask for 0 and know nothing of overconfidence."""


@dataclass(frozen=True, slots=True)
class _Collected:
    """Logits with their answers: rows of view, of grade, and of pixels read as a structure (fully labelled frames)."""

    view: Tensor
    view_truth: Tensor
    gsus: Tensor
    gsus_truth: Tensor
    pixels: Tensor
    pixel_truth: Tensor


def fit_temperatures(network: HipNet, examples: tuple[Example, ...]) -> Temperatures:
    """The temperatures of least negative log likelihood on a calibration split; 1 where nothing speaks to it."""
    if not examples:
        return Temperatures()
    told = _collect(network, examples)
    return Temperatures(
        view=_best(told.view, told.view_truth, lambda logits: logits.softmax(dim=1)),
        structures=_best(told.pixels, told.pixel_truth, lambda logits: logits.softmax(dim=1)),
        gsus=_best(told.gsus, told.gsus_truth, grade_probabilities),
    )


def _best(logits: Tensor, truth: Tensor, probabilities: Callable[[Tensor], Tensor]) -> float:
    if len(truth) < 20:
        return 1.0
    rows = torch.arange(len(truth))
    losses = [float(-probabilities(logits / t)[rows, truth].clamp(min=1e-6).log().mean()) for t in _GRID]
    return float(_GRID[int(np.argmin(losses))])


def _collect(network: HipNet, examples: tuple[Example, ...]) -> _Collected:
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
            parts.append(
                (logits.view, target.view, logits.gsus[known], target.gsus[known], pixels, ids.flatten()[some])
            )
    return _Collected(*(torch.cat(column) for column in zip(*parts, strict=True)))
