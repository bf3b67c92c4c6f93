"""How well a network reads a data set: every frame through the same Reader that serves."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from sklearn.metrics import cohen_kappa_score

from datasets.sample import Sample
from datasets.store import open_store
from model.anatomy import GRADES, LANDMARKS, STRUCTURES, VIEWS, Structure, View
from model.reading import Reader, Reading, paint_mask
from model.runtime import Session

MIN_TRUTH_PX = 40
"""A structure of fewer pixels in the truth is too small to be asked for."""


@dataclass(frozen=True, slots=True)
class FrameScore:
    """One frame's comparison, per structure: Dice (NaN where the truth has none), asked for, found, labelled at all."""

    index: int
    view: View
    told_view: View
    dice: tuple[float, ...]
    wanted: tuple[bool, ...]
    found: tuple[bool, ...]
    labelled: tuple[bool, ...]
    landmark_error_mm: tuple[float, ...]
    gsus: int | None
    told_gsus: int | None
    distance_mm: float | None
    told_distance_mm: float | None

    @property
    def badness(self) -> float:
        """How wrong the reading is, for finding the worst."""
        dice = [d for d in self.dice if np.isfinite(d)]
        grade = abs(self.gsus - self.told_gsus) if self.gsus is not None and self.told_gsus is not None else 0
        return (1 - float(np.mean(dice)) if dice else 0.0) + grade + 2.0 * (self.view is not self.told_view)


@dataclass(frozen=True, slots=True)
class StructureScore:
    """A structure over the frames that show it: mean Dice, and shares found, missed; false among frames without it."""

    name: str
    frames: int
    dice: float
    found: float
    missed: float
    false: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All figures of one evaluation. `provenance` says what the frames are, so that no phantom passes for a patient."""

    model: str
    sha256: str
    provenance: str
    frames: int
    view_accuracy: float
    view_confusion: tuple[tuple[int, ...], ...]
    structures: tuple[StructureScore, ...]
    landmark_median_mm: float
    landmark_p95_mm: float
    landmark_share_under_2_mm: float
    landmark_found: float
    gsus_frames: int
    gsus_answered: float
    gsus_exact: float
    gsus_within_one: float
    gsus_exact_of_all: float
    gsus_kappa: float
    gsus_confusion: tuple[tuple[int, ...], ...]
    capsule_bias_mm: float
    capsule_limits_mm: tuple[float, float]
    other_frames: int
    other_with_structures: float
    other_with_grade: float
    scores: tuple[FrameScore, ...]

    def structure(self, name: str) -> StructureScore:
        return next(s for s in self.structures if s.name == name)


def evaluate(model: Path, data: Path, report: Path) -> Evaluation:
    """Reads every frame of a data set, writes report.json and report.html, prints a table, returns the figures."""
    from training.export import exported
    from training.report import table, write_report

    store = open_store(data)
    session = Session(exported(model) if model.is_dir() else model)
    reader = Reader(session)
    samples = (store.sample(i) for i in range(len(store)))
    shown = track(samples, "reading", len(store), console=Console(stderr=True), disable=not sys.stderr.isatty())
    scores = tuple(compare(i, sample, reader.read(sample.frame)) for i, sample in enumerate(shown))
    figures = summarise(scores, f"{session.spec.name} {session.spec.version}", session.sha256, store.provenance)
    worst = sorted(scores, key=lambda s: -s.badness)[:12]
    pictures = [(score, store.sample(score.index)) for score in worst]
    write_report(figures, [(score, sample, reader.read(sample.frame)) for score, sample in pictures], report)
    sys.stdout.write(table(figures) + "\n")
    return figures


def compare(index: int, sample: Sample, reading: Reading) -> FrameScore:
    """A reading against its frame's truth."""
    truth = sample.truth
    mask = truth.mask if truth.mask is not None else np.zeros(sample.frame.pixels.shape[:2], np.uint8)
    told = paint_mask(reading)
    counts = [(int((mask == s.id).sum()), int((told == s.id).sum())) for s in STRUCTURES]
    values = {m.name: m.value for m in reading.measurements}
    return FrameScore(
        index=index,
        view=truth.view,
        told_view=reading.view.name,
        dice=tuple(_dice(mask, told, s) for s in STRUCTURES),
        wanted=tuple(there >= MIN_TRUTH_PX for there, _ in counts),
        found=tuple(seen > 0 for _, seen in counts),
        labelled=tuple(truth.mask is not None and s.name in truth.labelled for s in STRUCTURES),
        landmark_error_mm=_landmark_errors(sample, reading),
        gsus=truth.gsus,
        told_gsus=reading.solar.gsus.grade,
        distance_mm=truth.capsule_distance_mm,
        told_distance_mm=values.get("capsule_distance"),
    )


def _dice(mask: NDArray[np.uint8], told: NDArray[np.uint8], structure: Structure) -> float:
    here, there = mask == structure.id, told == structure.id
    if here.sum() < MIN_TRUTH_PX:
        return float("nan")
    return float(2 * (here & there).sum() / (here.sum() + there.sum()))


def _landmark_errors(sample: Sample, reading: Reading) -> tuple[float, ...]:
    """Error in mm of each landmark that the truth has: NaN where it has none, infinite where it was not found."""
    told = {point.name: (point.x, point.y) for point in reading.landmarks}
    errors = []
    for landmark, (x, y) in zip(LANDMARKS, sample.truth.landmarks_xy, strict=True):
        spacing = sample.frame.spacing_at(x, y) if np.isfinite(x) else None
        if spacing is None:
            errors.append(float("nan"))
        elif landmark.name not in told:
            errors.append(float("inf"))
        else:
            at = told[landmark.name]
            errors.append(float(np.hypot((at[0] - x) * spacing[1], (at[1] - y) * spacing[0])))
    return tuple(errors)


def summarise(scores: tuple[FrameScore, ...], model: str, sha256: str, provenance: str) -> Evaluation:
    """The figures of many frames."""
    views = np.array([(VIEWS.index(s.view), VIEWS.index(s.told_view)) for s in scores])
    errors = np.array([e for s in scores for e in s.landmark_error_mm if not np.isnan(e)])
    seen = errors[np.isfinite(errors)]
    graded = [(s.gsus, s.told_gsus) for s in scores if s.gsus is not None]
    answered = np.array([(a, b) for a, b in graded if b is not None]).reshape(-1, 2)
    difference = np.array(
        [
            s.told_distance_mm - s.distance_mm
            for s in scores
            if s.distance_mm is not None and s.told_distance_mm is not None
        ]
    )
    bias, spread = _mean(difference), float(difference.std(ddof=1)) if difference.size > 1 else float("nan")
    others = [s for s in scores if s.view is View.OTHER]
    off = np.abs(answered[:, 0] - answered[:, 1])
    return Evaluation(
        model=model,
        sha256=sha256,
        provenance=provenance,
        frames=len(scores),
        view_accuracy=_mean(views[:, 0] == views[:, 1]),
        view_confusion=_confusion(views, len(VIEWS)),
        structures=tuple(_structure_score(k, s, scores) for k, s in enumerate(STRUCTURES)),
        landmark_median_mm=float(np.median(seen)) if seen.size else float("nan"),
        landmark_p95_mm=float(np.percentile(seen, 95)) if seen.size else float("nan"),
        landmark_share_under_2_mm=_mean(errors < 2),
        landmark_found=_mean(np.isfinite(errors)),
        gsus_frames=len(graded),
        gsus_answered=len(answered) / max(len(graded), 1),
        gsus_exact=_mean(off == 0),
        gsus_within_one=_mean(off <= 1),
        gsus_exact_of_all=float((off == 0).sum()) / max(len(graded), 1),
        gsus_kappa=float(cohen_kappa_score(answered[:, 0], answered[:, 1], labels=GRADES, weights="quadratic"))
        if len(answered) > 1
        else float("nan"),
        gsus_confusion=_confusion(answered, len(GRADES)),
        capsule_bias_mm=bias,
        capsule_limits_mm=(bias - 1.96 * spread, bias + 1.96 * spread),
        other_frames=len(others),
        other_with_structures=_mean(np.array([any(s.found) for s in others])),
        other_with_grade=_mean(np.array([s.told_gsus is not None for s in others])),
        scores=scores,
    )


def _structure_score(row: int, structure: Structure, scores: Iterable[FrameScore]) -> StructureScore:
    wanted = [s for s in scores if s.wanted[row]]
    without = [s for s in scores if s.labelled[row] and not np.isfinite(s.dice[row])]
    found = _mean(np.array([s.found[row] for s in wanted]))
    dice = _mean(np.array([s.dice[row] for s in wanted]))
    false = _mean(np.array([s.found[row] for s in without]))
    return StructureScore(structure.name, len(wanted), dice, found, 1 - found, false)


def _confusion(pairs: NDArray[np.int64], size: int) -> tuple[tuple[int, ...], ...]:
    table = np.zeros((size, size), int)
    for row, column in pairs:
        table[row, column] += 1
    return tuple(tuple(int(v) for v in row) for row in table)


def _mean(values: NDArray[Any]) -> float:
    return float(np.mean(values)) if values.size else float("nan")
