"""Maps + Placement -> structures and landmarks in frame pixels, each with its confidence; or why there are none."""

from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from model.anatomy import LANDMARK_NAMES, LANDMARKS, POINT_LANDMARKS, VIEWS, Structure, Tissue, View, structures_of
from model.geometry import Placement, Points
from model.runtime import Maps
from model.spec import NetworkSpec, Thresholds

_FINE: Final = 3
_SMOOTH_PX: Final = 1.0
"""A mask is smoothed and enlarged so many times before its outline is traced, for outlines below a pixel: of 2 to 4
times and 0.8 to 1.3 network pixels as good as any on 150 phantoms; smoothing first takes a quarter of the time.
"""
_MARGIN_PX: Final = 4
"""Room around a mask that its smoothing needs."""
_MIN_AREA_PX: Final = 12
_PART_SHARE: Final = 0.2
_SHEATH: Final = 3.0
"""Artery and vein lie no further apart, centre to centre, than this many times their radii together."""
STAYS: Final = 0.7
"""Share of a threshold down to which what was shown stays shown: one that lies at it does not flicker."""


@dataclass(frozen=True, slots=True, eq=False)
class FoundStructure:
    """A structure's outlines (each (N, 2) in frame pixels, largest first) and the area they hold."""

    structure: Structure
    confidence: float
    contours: tuple[Points, ...]
    area_px: float


@dataclass(frozen=True, slots=True)
class FoundLandmark:
    """A point in frame pixels. `spread_px` is the SD of its position, in frame pixels."""

    name: str
    x: float
    y: float
    confidence: float
    spread_px: float


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """What was located. `withheld` says why nothing may be located, None where it may."""

    view: View
    view_confidence: float
    view_probabilities: tuple[float, ...]
    structures: tuple[FoundStructure, ...] = ()
    landmarks: tuple[FoundLandmark, ...] = ()
    withheld: str | None = None

    def structure(self, name: str) -> FoundStructure | None:
        return next((s for s in self.structures if s.structure.name == name), None)

    def landmark(self, name: str) -> FoundLandmark | None:
        return next((point for point in self.landmarks if point.name == name), None)


def find(maps: Maps, placement: Placement, spec: NetworkSpec, shown: frozenset[str] = frozenset()) -> Findings:
    """What the maps show, in frame pixels: only what belongs to the view, only above the thresholds.

    Structures and landmarks `shown` a moment ago stay while their confidence is above `STAYS` of the threshold.
    """
    probabilities = tuple(float(p) for p in maps.view)
    best = int(np.argmax(maps.view))
    view, confidence = VIEWS[best], probabilities[best]
    withheld = _why_withheld(view, confidence, spec.thresholds)
    if withheld is not None:
        return Findings(view, confidence, probabilities, withheld=withheld)
    structures = _structures(maps, placement, view, _Bar(spec.thresholds.structure, shown))
    points = _points(maps, placement, view, _Bar(spec.thresholds.landmark, shown))
    return located(Findings(view, confidence, probabilities), structures, points, spec.centroid_spread)


def withheld(findings: Findings, reason: str) -> Findings:
    """The view alone, and why nothing is located."""
    return replace(findings, structures=(), landmarks=(), withheld=reason)


def located(
    findings: Findings,
    structures: tuple[FoundStructure, ...],
    points: tuple[FoundLandmark, ...],
    centroid_spread: float,
) -> Findings:
    """The view's findings with these structures and points: vessels that adjoin, centroids of what is there."""
    adjoining = _adjoining(structures)
    landmarks = sorted((*points, *_centroids(adjoining, centroid_spread)), key=_in_table)
    return replace(findings, structures=adjoining, landmarks=tuple(landmarks))


@dataclass(frozen=True, slots=True)
class _Bar:
    """A threshold, lower for what was shown before."""

    threshold: float
    shown: frozenset[str]

    def for_(self, name: str) -> float:
        return self.threshold * (STAYS if name in self.shown else 1.0)


def _in_table(point: FoundLandmark) -> int:
    return LANDMARK_NAMES.index(point.name)


def _why_withheld(view: View, confidence: float, thresholds: Thresholds) -> str | None:
    if view is View.OTHER:
        return "not one of the three hip views"
    if confidence < thresholds.view:
        return f"view uncertain ({confidence:.2f}, needs {thresholds.view:.2f})"
    return None


def _structures(maps: Maps, placement: Placement, view: View, bar: _Bar) -> tuple[FoundStructure, ...]:
    found = []
    for structure in structures_of(view):
        confidence = float(maps.structures[structure.id - 1])
        if confidence < bar.for_(structure.name):
            continue
        parts = outlines((maps.labels == structure.id).view(np.uint8), structure.tissue)
        if parts:
            in_frame = tuple(placement.to_frame(part) for part in parts)
            found.append(FoundStructure(structure, confidence, in_frame, sum(polygon_area(part) for part in in_frame)))
    return tuple(found)


def _adjoining(structures: tuple[FoundStructure, ...]) -> tuple[FoundStructure, ...]:
    """Without the less sure of an artery and a vein that lie apart: they run in one sheath, so one is something else.

    A clearance to a vessel that is not there would be worse than none.
    """
    vessels = [s for s in structures if s.structure.tissue is Tissue.VESSEL]
    if len(vessels) < 2:
        return structures
    one, other = vessels
    centres = [polygon_centroid(vessel.contours[0]) for vessel in vessels]
    radii = sum(float(np.sqrt(vessel.area_px / np.pi)) for vessel in vessels)
    if np.hypot(centres[0][0] - centres[1][0], centres[0][1] - centres[1][1]) <= _SHEATH * radii:
        return structures
    doubted = min(one, other, key=lambda vessel: vessel.confidence)
    return tuple(s for s in structures if s is not doubted)


def outlines(mask: NDArray[np.uint8], tissue: Tissue) -> tuple[Points, ...]:
    """Outlines of a mask (h, w) of 0 and 1 in its own pixels, below pixel precision, largest first.

    Vessels and tendons are one piece, so only their largest is kept; elsewhere pieces under a fifth of the largest go.
    """
    left, top, width, height = cv2.boundingRect(mask)
    if width == 0:
        return ()
    crop = 255 * mask[top : top + height, left : left + width]
    room = cv2.copyMakeBorder(crop, *(_MARGIN_PX,) * 4, cv2.BORDER_CONSTANT, value=0)
    soft = cv2.GaussianBlur(room, (0, 0), _SMOOTH_PX)
    fine = cv2.resize(soft, None, fx=_FINE, fy=_FINE, interpolation=cv2.INTER_LINEAR)
    _, inside = cv2.threshold(fine, 127, 255, cv2.THRESH_BINARY)
    parts, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest_first = sorted(((cv2.contourArea(part), part) for part in parts), key=itemgetter(0), reverse=True)
    if not largest_first or largest_first[0][0] < _MIN_AREA_PX * _FINE**2:
        return ()
    least = _PART_SHARE * largest_first[0][0]
    kept = largest_first[:1] if tissue in (Tissue.VESSEL, Tissue.TENDON) else largest_first
    origin = np.array([left, top]) + 0.5 / _FINE - 0.5 - _MARGIN_PX
    return tuple(part.reshape(-1, 2) / _FINE + origin for area, part in kept if area >= least)


def polygon_area(polygon_xy: Points) -> float:
    """Area of a closed polygon (N, 2), in squared units of its points."""
    return float(cv2.contourArea(_near_zero(polygon_xy)))


def polygon_centroid(polygon_xy: Points) -> tuple[float, float]:
    """Centroid (x, y) of a closed polygon's area."""
    moments = cv2.moments(_near_zero(polygon_xy))
    if moments["m00"] == 0:
        return float(polygon_xy[:, 0].mean()), float(polygon_xy[:, 1].mean())
    x, y = moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]
    return float(x + polygon_xy[0, 0]), float(y + polygon_xy[0, 1])


def _near_zero(polygon_xy: Points) -> NDArray[np.float32]:
    """The polygon from its first point: OpenCV takes single precision, which is fine enough near zero."""
    return np.asarray(polygon_xy - polygon_xy[0], dtype=np.float32)


def _points(maps: Maps, placement: Placement, view: View, bar: _Bar) -> tuple[FoundLandmark, ...]:
    """The landmarks the network points at."""
    found = []
    for row, landmark in zip(maps.landmarks, POINT_LANDMARKS, strict=True):
        x, y, confidence, spread = (float(v) for v in row)
        if view in landmark.views and confidence >= bar.for_(landmark.name):
            at = placement.to_frame([x, y])
            point = (float(at[0]), float(at[1]))
            found.append(FoundLandmark(landmark.name, *point, confidence, spread / placement.scale_x))
    return tuple(found)


def _centroids(structures: tuple[FoundStructure, ...], spread: float) -> tuple[FoundLandmark, ...]:
    """The landmarks that are a structure's centroid; their SD is a share of its radius."""
    named = {landmark.centroid_of: landmark.name for landmark in LANDMARKS if landmark.centroid_of}
    found = []
    for one in structures:
        if one.structure.name in named:
            outline = one.contours[0]
            radius = float(np.sqrt(polygon_area(outline) / np.pi))
            place = polygon_centroid(outline)
            found.append(FoundLandmark(named[one.structure.name], *place, one.confidence, spread * radius))
    return tuple(found)
