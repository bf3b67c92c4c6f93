"""A closer look: what a first look found, seen again from nearer by, and both told as one.

A network sees a deep picture's joint in a few of its pixels: of the capsule's distance half the error is their size.
Whoever has the time lets it see the box around what it found once more.
"""

from dataclasses import replace
from typing import Final

import numpy as np

from model.anatomy import POINT_LANDMARKS, Tissue
from model.findings import Findings, FoundLandmark, FoundStructure, located
from model.geometry import Points
from model.preprocess import Box

MARGIN: Final = 1.1
"""A closer look's side, as a multiple of what was found."""
_MOST: Final = 0.9
"""Nearer by than this share of the sector's side, or it is no closer look."""
_LEAST_PX: Final = 48
_POINTS: Final = frozenset(landmark.name for landmark in POINT_LANDMARKS)
_CLEARLY: Final = 0.05
"""An artery of which the first look was surer by so much was better outlined by it, on 214 phantoms."""


def closer_box(findings: Findings, sector: Box) -> Box | None:
    """Where to look more closely: a square around all that was found, within the sector; None where it is all of it."""
    if not findings.structures:
        return None
    places = [outline for found in findings.structures for outline in found.contours]
    places += [np.array([[point.x, point.y]]) for point in findings.landmarks]
    box = box_around(np.concatenate(places), sector, MARGIN)
    side, whole = (max(b[2] - b[0], b[3] - b[1]) for b in (box, sector))
    return box if side <= _MOST * whole else None


def box_around(points_xy: Points, sector: Box, margin: float) -> Box:
    """A square around points (N, 2) in frame pixels, `margin` times as large as they need, cut off at the sector."""
    low, high = points_xy.min(axis=0), points_xy.max(axis=0)
    half = max(float((high - low).max()) * margin, _LEAST_PX) / 2
    x, y = (low + high) / 2
    x0, y0, x1, y1 = sector
    left, top = max(x0, round(x - half)), max(y0, round(y - half))
    return left, top, max(min(x1, round(x + half)), left + 1), max(min(y1, round(y + half)), top + 1)


def is_heard(first: Findings, closer: Findings) -> bool:
    """Whether the closer look is sure of the view that the first one saw: one that is not has nothing to add."""
    return closer.withheld is None and closer.view is first.view


def merged(first: Findings, closer: Findings, centroid_spread: float) -> Findings:
    """What two looks found of one view, told once: bone as the first one saw it, the rest as the closer one did but for
    what the first was clearly surer of; a landmark where the closer one puts it, as sure as the surer of them.
    `centroid_spread` is NetworkSpec's.
    """
    near = {found.structure.name: found for found in closer.structures}
    kept = [found for found in first.structures if _is_kept(found, near.get(found.structure.name))]
    structures = {found.structure.id: found for found in (*closer.structures, *kept)}
    points = {point.name: point for point in first.landmarks if point.name in _POINTS}
    for point in closer.landmarks:
        if point.name in _POINTS:
            points[point.name] = _as_sure_as(points.get(point.name, point), point)
    return located(first, tuple(structures[k] for k in sorted(structures)), tuple(points.values()), centroid_spread)


def _is_kept(first: FoundStructure, closer: FoundStructure | None) -> bool:
    """Whether the first look's outline stays. A bone's band is a few cells thick in it, which is how it was learnt."""
    if closer is None or first.structure.tissue is Tissue.BONE:
        return True
    return first.confidence > closer.confidence + _CLEARLY


def _as_sure_as(first: FoundLandmark, closer: FoundLandmark) -> FoundLandmark:
    return replace(closer, confidence=max(first.confidence, closer.confidence))
