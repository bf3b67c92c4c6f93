"""Many frames' scores -> the figures of an evaluation, in all and split by what the frames are like."""

from dataclasses import dataclass

import numpy as np

from model.anatomy import STRUCTURES, VIEWS, View
from training.evaluation.groups import GroupFigures, split
from training.evaluation.measures import (
    CapsuleFigures,
    Counts,
    GradeFigures,
    LandmarkFigures,
    StructureFigures,
    calibration,
    capsule_figures,
    confusion,
    false_share,
    grade_figures,
    landmark_figures,
    mean,
    structure_figures,
)
from training.evaluation.reliability import Reliability
from training.evaluation.score import FrameScore


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
    vessels = np.array([s.vessel_dice for s in scores if np.isfinite(s.vessel_dice)])
    others = [s for s in scores if s.view is View.OTHER]
    return Evaluation(
        model=model,
        sha256=sha256,
        provenance=provenance,
        frames=len(scores),
        view_accuracy=mean(views[:, 0] == views[:, 1]),
        view_confusion=confusion(views, len(VIEWS)),
        structures=tuple(structure_figures(k, [s.structures[k] for s in scores]) for k in range(len(STRUCTURES))),
        structure_false=false_share(scores),
        landmarks=landmark_figures(scores),
        gsus=grade_figures(scores),
        capsule=capsule_figures(scores),
        vessel_dice=mean(vessels),
        vessel_frames=len(vessels),
        other_frames=len(others),
        other_with_structures=mean([any(t.found for t in s.structures) for s in others]),
        other_with_grade=mean([s.gsus.told is not None for s in others]),
        calibration=calibration(scores),
        groups=split(scores),
        scores=scores,
    )
