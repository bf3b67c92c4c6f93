"""Maps + Placement -> structures and landmarks in frame pixels, each with its confidence; or why there are none."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from model.anatomy import LANDMARKS, POINT_LANDMARK_NAMES, VIEWS, Structure, Tissue, View, structures_of
from model.geometry import Placement, Points, contours
from model.runtime import Maps
from model.spec import NetworkSpec, Thresholds

_FINE: Final = 4
"""A mask is enlarged this many times and smoothed before its outline is traced, for outlines below a pixel."""
_SMOOTH_PX: Final = 0.8
"""Of 0.25 to 1.8 network pixels the best over all structures on 100 phantoms: the mask is decided at half its size."""
_MIN_AREA_PX: Final = 12
_PART_SHARE: Final = 0.2


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


def find(maps: Maps, placement: Placement, spec: NetworkSpec) -> Findings:
    """What the maps show, in frame pixels: only what belongs to the view, only above the thresholds."""
    probabilities = tuple(float(p) for p in maps.view)
    best = int(np.argmax(maps.view))
    view, confidence = VIEWS[best], probabilities[best]
    withheld = _why_withheld(view, confidence, spec.thresholds)
    if withheld is not None:
        return Findings(view, confidence, probabilities, withheld=withheld)
    structures = _structures(maps, placement, view, spec.thresholds.structure)
    landmarks = _landmarks(maps, placement, structures, view, spec)
    return Findings(view, confidence, probabilities, structures, landmarks)


def _why_withheld(view: View, confidence: float, thresholds: Thresholds) -> str | None:
    if view is View.OTHER:
        return "not one of the three hip views"
    if confidence < thresholds.view:
        return f"view uncertain ({confidence:.2f}, needs {thresholds.view:.2f})"
    return None


def _structures(maps: Maps, placement: Placement, view: View, threshold: float) -> tuple[FoundStructure, ...]:
    found = []
    for structure in structures_of(view):
        confidence = float(maps.structures[structure.id - 1])
        if confidence < threshold:
            continue
        parts = outlines(np.asarray(maps.labels == structure.id, dtype=np.uint8), structure.tissue)
        if parts:
            in_frame = tuple(placement.to_frame(part) for part in parts)
            found.append(FoundStructure(structure, confidence, in_frame, sum(polygon_area(part) for part in in_frame)))
    return tuple(found)


def outlines(mask: NDArray[np.uint8], tissue: Tissue) -> tuple[Points, ...]:
    """Outlines of a binary mask (h, w) in its own pixels, below pixel precision, largest first.

    Vessels and tendons are one piece, so only their largest is kept; elsewhere pieces under a fifth of the largest go.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return ()
    top, left = max(int(rows[0]) - 2, 0), max(int(columns[0]) - 2, 0)
    crop = mask[top : rows[-1] + 3, left : columns[-1] + 3]
    fine = cv2.resize(crop * 255, None, fx=_FINE, fy=_FINE, interpolation=cv2.INTER_LINEAR)
    fine = cv2.copyMakeBorder(fine, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    parts = contours(np.asarray(cv2.GaussianBlur(fine, (0, 0), _FINE * _SMOOTH_PX) > 127, dtype=np.uint8))
    areas = [cv2.contourArea(part.astype(np.float32)) / _FINE**2 for part in parts]
    if not areas or areas[0] < _MIN_AREA_PX:
        return ()
    single = tissue in (Tissue.VESSEL, Tissue.TENDON)
    kept = [p for p, area in zip(parts, areas, strict=True) if area >= _PART_SHARE * areas[0]][: 1 if single else None]
    return tuple((part - 1 + 0.5) / _FINE - 0.5 + [left, top] for part in kept)


def polygon_area(polygon_xy: Points) -> float:
    """Area of a closed polygon (N, 2), in squared units of its points."""
    x, y = polygon_xy[:, 0], polygon_xy[:, 1]
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def polygon_centroid(polygon_xy: Points) -> tuple[float, float]:
    """Centroid (x, y) of a closed polygon's area."""
    x, y = (polygon_xy - polygon_xy[0]).T
    cross = x * np.roll(y, -1) - y * np.roll(x, -1)
    area = cross.sum() / 2
    if area == 0:
        return float(polygon_xy[:, 0].mean()), float(polygon_xy[:, 1].mean())
    centre_x = ((x + np.roll(x, -1)) * cross).sum() / (6 * area)
    centre_y = ((y + np.roll(y, -1)) * cross).sum() / (6 * area)
    return float(centre_x + polygon_xy[0, 0]), float(centre_y + polygon_xy[0, 1])


def _landmarks(
    maps: Maps, placement: Placement, structures: tuple[FoundStructure, ...], view: View, spec: NetworkSpec
) -> tuple[FoundLandmark, ...]:
    found = []
    by_name = {s.structure.name: s for s in structures}
    for landmark in LANDMARKS:
        if view not in landmark.views:
            continue
        if landmark.centroid_of is None:
            x, y, confidence, spread = (float(v) for v in maps.landmarks[POINT_LANDMARK_NAMES.index(landmark.name)])
            if confidence >= spec.thresholds.landmark:
                at = placement.to_frame([x, y])
                point = (float(at[0]), float(at[1]))
                found.append(FoundLandmark(landmark.name, *point, confidence, spread / placement.scale_x))
        elif landmark.centroid_of in by_name:
            owner = by_name[landmark.centroid_of]
            centre = polygon_centroid(owner.contours[0])
            spread = spec.centroid_spread * float(np.sqrt(polygon_area(owner.contours[0]) / np.pi))
            found.append(FoundLandmark(landmark.name, *centre, owner.confidence, spread))
    return tuple(found)
