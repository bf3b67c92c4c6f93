"""What networks are examined on, and what they tell there: Dice of each structure, and the other heads' figures."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from monai.metrics.meandice import DiceMetric
from numpy.typing import NDArray
from torch import nn

from datasets.sample import Sample
from datasets.store import open_store
from model.anatomy import STRUCTURE_NAMES
from model.network.hipnet import CLASSES
from model.network.served import decode_landmarks, grade_probabilities
from model.preprocess import find_sector, letterbox
from training.evaluation.measures import kappa
from training.feed import POINT_ROWS, Example, frame_as_it_comes, load_examples, plain_batches


@dataclass(frozen=True, slots=True, eq=False)
class Exam:
    """Frames that are measured on, and of each landmark the mm that a network pixel is across and down (N, L, 2)."""

    examples: tuple[Example, ...]
    mm_a_pixel: NDArray[np.float64]


def open_exam(folder: Path, size_px: int) -> Exam:
    """A data set's frames, letterboxed to a network's input."""
    store = open_store(folder)
    rows = tuple(range(len(store)))
    scales = np.array([_mm_a_pixel(store.sample(row), row, size_px) for row in rows])
    return Exam(load_examples(store, rows, size_px), scales)


def _mm_a_pixel(sample: Sample, row: int, size_px: int) -> NDArray[np.float64]:
    frame = frame_as_it_comes(sample, row)
    placement = letterbox(frame, find_sector(frame), size_px, size_px)[1]
    spacings = [sample.frame.spacing_at(x, y) or (np.nan, np.nan) for x, y in sample.truth.landmarks_xy[POINT_ROWS]]
    return np.array(spacings)[:, ::-1] / (placement.scale_x, placement.scale_y)


@dataclass(frozen=True, slots=True)
class Heads:
    """What the other heads tell: the landmarks' median error in mm, the share of views told right, the share of grades
    told exactly and their quadratic weighted kappa; NaN where no frame has one, None where they were not learnt."""

    landmark_mm: float | None = None
    view: float | None = None
    gsus_exact: float | None = None
    gsus_kappa: float | None = None


def examine_heads(network: nn.Module, exam: Exam) -> Heads:
    """Every landmark that the frames show counts, told or not."""
    off, views, grades = [], [], []
    with torch.no_grad():
        for batch in plain_batches(exam.examples, 16):
            logits, target = network(batch.pictures), batch.target
            stride = batch.pictures.shape[3] / logits.heat.shape[3]
            found = decode_landmarks(logits.heat, logits.presence, stride)
            off.append((found[..., :2] - target.points).numpy())
            views.append((logits.view.argmax(dim=1) == target.view).numpy())
            grades.append(torch.stack([target.gsus, grade_probabilities(logits.gsus).argmax(dim=1)], dim=1).numpy())
    told = np.concatenate(grades)
    told = told[told[:, 0] >= 0]
    return Heads(
        landmark_mm=round(float(np.nanmedian(np.linalg.norm(np.concatenate(off) * exam.mm_a_pixel, axis=2))), 3),
        view=round(float(np.concatenate(views).mean()), 4),
        gsus_exact=round(float((told[:, 0] == told[:, 1]).mean()), 4) if len(told) else math.nan,
        gsus_kappa=round(kappa(told), 4),
    )


def named(dice: NDArray[np.float64]) -> dict[str, float]:
    """Each structure's, by its name."""
    return {name: round(float(value), 4) for name, value in zip(STRUCTURE_NAMES, dice, strict=True)}


def examine_structures(network: nn.Module, exam: Exam) -> NDArray[np.float64]:
    """Mean Dice of each structure over the frames that show it, in network pixels at half size."""
    metric = DiceMetric(include_background=False, num_classes=CLASSES, ignore_empty=True)
    with torch.no_grad():
        for batch in plain_batches(exam.examples, 16):
            told = network(batch.pictures).structures.argmax(dim=1, keepdim=True)
            metric(told, batch.target.shares[:, :CLASSES].argmax(dim=1, keepdim=True))
    return np.asarray(torch.nanmean(metric.get_buffer(), dim=0).double().numpy())  # type: ignore[no-untyped-call]
