"""Findings -> millimetres and ratios: each a value, or the reason why not.

Definitions are those of the annotation protocol. A length needs one calibrated region that holds all its points.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from model.anatomy import Tissue, View
from model.findings import Findings, FoundStructure
from model.frame import Frame, Spacing
from model.geometry import Points, normals, perpendicular_span, ray_lengths, resample, sagitta
from model.spec import CapsuleSpread

NO_SCALE: Final = "no scale: the source gives no spacing for this part of the picture"
_SMOOTH_PX: Final = 3.0
_SMOOTH_TAPS: Final = 2 * round(4 * _SMOOTH_PX) + 1
_STEP_PX: Final = 2.0
_SHARED: Final = 0.25
_REACH: Final = 0.25
"""A cortex that stays further than this share of the neck from its landmarks is a fragment, not the neck."""


@dataclass(frozen=True, slots=True, eq=False)
class Measurement:
    """A named value with its unit and the points (N, 2) it was measured between, or the reason for its absence.

    `spread` is the SD of its error, in its unit; None where nothing is known of it.
    """

    name: str
    value: float | None
    unit: str
    points_xy: Points
    reason: str | None = None
    spread: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CapsuleCurves:
    """Neck cortex and outer capsule between head-neck junction and distal insertion, cubics (N, 2) in frame pixels.

    `spread_mm` is the SD of a distance between them, None where nothing is known of it.
    """

    cortex_xy: Points
    outer_xy: Points
    spread_mm: float | None = None


def common_spacing(frame: Frame, points_xy: Points) -> Spacing | None:
    """The one scale that holds at every point; None where there is none, or where the points lie in different ones."""
    scales = {frame.spacing_at(float(x), float(y)) for x, y in points_xy}
    return scales.pop() if len(scales) == 1 else None


def to_mm(points_xy: Points, spacing_mm: Spacing) -> Points:
    """Frame pixels (N, 2) to millimetres from the frame's origin."""
    return points_xy * [spacing_mm[1], spacing_mm[0]]


def measure(findings: Findings, frame: Frame, curves: CapsuleCurves | str) -> tuple[Measurement, ...]:
    """The measurements of the view: capsule distance and shape in the longitudinal view, none elsewhere. `curves` is
    what they are measured between, or the reason why not.
    """
    if findings.withheld is not None or findings.view is not View.LONGITUDINAL:
        return ()
    if isinstance(curves, str):
        return tuple(_absent(name, unit, curves) for name, unit in _CAPSULE)
    return (_capsule_distance(curves, frame), *_capsule_shape(curves, frame))


def measured(measurements: Sequence[Measurement], name: str) -> Measurement | None:
    """The measurement of that name that has a value, if there is one."""
    return next((one for one in measurements if one.name == name and one.value is not None), None)


_CAPSULE: Final = (("capsule_distance", "mm"), ("capsule_sagitta", "mm"), ("capsule_sagitta_ratio", "1"))


def capsule_curves(findings: Findings, doubt: CapsuleSpread | None = None) -> CapsuleCurves | str:
    """The two curves of the outlines that the capsule is measured between, or the reason why they cannot be drawn."""
    recess, neck = findings.structure("anterior_recess"), findings.structure("femoral_neck")
    if recess is None or neck is None:
        return f"no {'anterior_recess' if recess is None else 'femoral_neck'} in this frame"
    junction, insertion = findings.landmark("head_neck_junction"), findings.landmark("capsule_insertion")
    if junction is None or insertion is None:
        return f"no {'head_neck_junction' if junction is None else 'capsule_insertion'} in this frame"
    ends = np.array([[junction.x, junction.y], [insertion.x, insertion.y]])
    cortex = superficial_edge(neck, ends[:, 0])
    outer = superficial_edge(recess, None)
    if cortex is None or outer is None:
        return "anterior_recess and femoral_neck do not overlap between the head-neck junction and the insertion"
    if _gap(cortex, ends) > _REACH:
        return "the femoral neck's outline does not reach from the head-neck junction to the insertion"
    outer = _from_above_junction(outer, cortex, ends)
    if outer is None:
        return "the capsule does not reach over the femoral neck"
    spread = doubt.at(1 - recess.confidence) if doubt else None
    return CapsuleCurves(smoothed(cortex, 3), smoothed(outer, 3), spread)


def _gap(cortex_xy: Points, ends_xy: Points) -> float:
    """How far the cortex stays from the farther of its two landmarks, as a share of their distance."""
    away = np.hypot(*(cortex_xy[:, None] - ends_xy).transpose(2, 0, 1)).min(axis=0)
    return float(away.max() / max(np.hypot(*(ends_xy[1] - ends_xy[0])), 1.0))


def superficial_edge(found: FoundStructure, between_x: Points | None) -> Points | None:
    """The edge nearest to the probe, one point a column, smoothed, within a range of x; None where too short.

    Of pieces that lie over one another one counts: of bone the shallowest, for what is seen below bone is its echo come
    twice; else the largest.
    """
    is_bone = found.structure.tissue is Tissue.BONE
    outline = np.concatenate(_side_by_side(sorted(found.contours, key=_depth) if is_bone else found.contours))
    columns = np.rint(outline[:, 0]).astype(np.intp)
    leftmost = int(columns.min())
    highest = np.full(int(columns.max()) + 1 - leftmost, np.inf)
    np.minimum.at(highest, columns - leftmost, outline[:, 1])
    crossed = np.flatnonzero(np.isfinite(highest))
    x, y = (crossed + leftmost).astype(np.float64), highest[crossed]
    if between_x is not None:
        inside = (x >= between_x.min()) & (x <= between_x.max())
        x, y = x[inside], y[inside]
    if x.size < 5:
        return None
    # The outermost column of an outline is its side, not its top.
    smooth = cv2.GaussianBlur(y[None], (_SMOOTH_TAPS, 1), _SMOOTH_PX, borderType=cv2.BORDER_REPLICATE)
    return np.stack([x, smooth[0]], axis=1)[1:-1]


def _side_by_side(pieces: Sequence[Points]) -> list[Points]:
    """The pieces (N, 2) that share no columns to speak of with one before them."""
    kept: list[Points] = []
    for piece in pieces:
        low, high = piece[:, 0].min(), piece[:, 0].max()
        shared = (min(high, one[:, 0].max()) - max(low, one[:, 0].min()) for one in kept)
        if max(shared, default=0.0) <= _SHARED * (high - low):
            kept.append(piece)
    return kept


def _depth(piece_xy: Points) -> float:
    return float(piece_xy[:, 1].mean())


def _from_above_junction(outer_xy: Points, cortex_xy: Points, ends_xy: Points) -> Points | None:
    """The outer capsule from the perpendicular over the head-neck junction to the distal insertion."""
    junction, insertion = ends_xy
    base = resample(cortex_xy, _STEP_PX)
    nearest = int(np.argmin(np.hypot(*(base - junction).T)))
    direction = normals(base)[nearest : nearest + 1]
    reach = float(ray_lengths(junction[None], direction, outer_xy)[0])
    start_x = junction[0] + direction[0, 0] * reach if np.isfinite(reach) else junction[0]
    low, high = sorted((float(start_x), float(insertion[0])))
    part = outer_xy[(outer_xy[:, 0] >= low) & (outer_xy[:, 0] <= high)]
    if len(part) < 5:
        return None
    ordered = part if start_x <= insertion[0] else part[::-1]
    return np.concatenate([ordered, insertion[None]])


def _capsule_distance(curves: CapsuleCurves, frame: Frame) -> Measurement:
    spacing = common_spacing(frame, np.concatenate([curves.cortex_xy[[0, -1]], curves.outer_xy[[0, -1]]]))
    if spacing is None:
        return _absent("capsule_distance", "mm", NO_SCALE)
    scale = np.array([spacing[1], spacing[0]])
    try:
        distance, ends = perpendicular_span(to_mm(curves.cortex_xy, spacing), to_mm(curves.outer_xy, spacing))
    except ValueError as error:
        return _absent("capsule_distance", "mm", str(error))
    return Measurement("capsule_distance", distance, "mm", ends / scale, spread=curves.spread_mm)


def smoothed(curve_xy: Points, degree: int) -> Points:
    """A curve as a polynomial of its length: the largest distance along the normals of a wobbling outline would
    overstate, and so would the height of one bump over its chord.

    On 58 phantoms a smooth cortex took the bias of the capsule distance from +0.88 to +0.34 mm and its SD from 0.99 to
    0.72 mm; on 521 a smooth capsule told the measured shape right in 85 % instead of 78 %.
    """
    points = resample(curve_xy, _STEP_PX)
    basis, _ = np.linalg.qr(np.vander(np.linspace(-1, 1, len(points)), degree + 1))
    return np.asarray(basis @ (basis.T @ points))


def _capsule_shape(curves: CapsuleCurves, frame: Frame) -> tuple[Measurement, ...]:
    ends = curves.outer_xy[[0, -1]]
    spacing = common_spacing(frame, ends)
    height, chord = sagitta(to_mm(curves.outer_xy, spacing) if spacing else curves.outer_xy)
    ratio = Measurement("capsule_sagitta_ratio", height / chord, "1", ends)
    if spacing is None:
        return _absent("capsule_sagitta", "mm", NO_SCALE), ratio
    return Measurement("capsule_sagitta", height, "mm", ends), ratio


def _absent(name: str, unit: str, reason: str) -> Measurement:
    return Measurement(name, None, unit, np.empty((0, 2)), reason)
