"""Frame scores made by hand."""

from dataclasses import replace

from model.anatomy import STRUCTURES, View
from training.evaluation.score import FrameScore, GradeScore, StructureScore

NAN, INF = float("nan"), float("inf")
LOOKED_FOR = tuple(StructureScore(labelled=True) for _ in STRUCTURES)
NOWHERE = (NAN,) * 9


def score(truth: int | None, told: int | None, **changes) -> FrameScore:
    """A longitudinal frame without structures."""
    plain = FrameScore(
        0,
        f"patient {truth} {told}",
        View.LONGITUDINAL,
        View.LONGITUDINAL,
        0.95,
        LOOKED_FOR,
        NOWHERE,
        NOWHERE,
        NOWHERE,
        (False,) * 9,
        GradeScore(truth, told, told, 0.8),
        6.0,
        6.5,
    )
    return replace(plain, **changes)
