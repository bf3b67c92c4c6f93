"""Smoothing over a cine: pure, the state passed in and out. What moves is followed, not averaged.

A landmark is first carried along with the tissue under it (optical flow between the network's own pictures, Lucas and
Kanade 1981, in Bouguet's pyramids), then drawn towards where the network now sees it: little while the two agree
within the network's own spread, wholly once they keep disagreeing, as the One Euro filter opens with speed (Casiez,
Roussel and Vogel 2012). So a still probe gets still points, and a moving one is not lagged behind.
"""

from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from model.cuts import likeness
from model.findings import Findings, FoundLandmark, FoundStructure
from model.geometry import Points
from model.preprocess import Box, Look
from model.runtime import Maps

Picture = NDArray[np.uint8]

_POINT_S: Final = 0.35
"""Time constant of a landmark on tissue that is followed."""
_DRIFT: Final = 0.35
"""Weight of the newest disagreement in its running mean; only a lasting one opens the filter."""
_TOLD_S: Final = 0.12
_GRADE_S: Final = 0.3
"""Time constants of what the network tells as probabilities: view and structures, and grade."""
_HELD_S: Final = 0.12
"""A structure missing for no longer than this stays, carried with the tissue: less than the eye takes for flicker."""
_CUT_SHARE: Final = 0.8
"""A picture less like the one before than this share of what the cine's pictures are: a fast probe lowers both."""
_LIKENESS: Final = 0.75
"""Taken for a cine's own until there is one: moving hips are above it, other hips below."""
_LIKENESS_WEIGHT: Final = 0.4
_GAP_S: Final = 1.0
_SAME_SECTOR: Final = 0.015
_WINDOW_PX: Final = 31


@dataclass(frozen=True, slots=True)
class TrackedPoint:
    """A landmark as last told, in frame pixels, and the running mean of what the network disagreed by."""

    found: FoundLandmark
    off_x: float = 0.0
    off_y: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """What is remembered of a cine's last frame, taken at `at_s`; `seen_s` is when each structure was last outlined.

    `goes_on` says that the frame continued what was remembered before it; without, it began a cine. `likeness` is the
    running mean of how alike the cine's pictures are, each to the one before.
    """

    look: Look
    at_s: float
    maps: Maps
    points: tuple[TrackedPoint, ...] = ()
    structures: tuple[FoundStructure, ...] = ()
    seen_s: tuple[float, ...] = ()
    goes_on: bool = False
    likeness: float = _LIKENESS

    @property
    def shown(self) -> frozenset[str]:
        """Names of structures and landmarks that were told: they stay at a lower confidence than new ones need."""
        return frozenset(s.structure.name for s in self.structures) | {p.found.name for p in self.points}


def steady_sector(sector: Box, track: Track | None) -> Box:
    """The track's sector where the new one is the same but for a few pixels, else the new one."""
    if track is None:
        return sector
    size = max(sector[2] - sector[0], sector[3] - sector[1])
    moved = max(abs(new - old) for new, old in zip(sector, track.look.sector, strict=True))
    return track.look.sector if moved <= _SAME_SECTOR * size else sector


def continued(track: Track | None, look: Look, at_s: float) -> Track | None:
    """The track, with its likeness, where this frame goes on from it; None after a cut, a pause, or time that runs
    backwards.
    """
    if track is None or not 0 <= at_s - track.at_s <= _GAP_S:
        return None
    alike = likeness(track.look, look)
    if alike < _CUT_SHARE * track.likeness:
        return None
    return replace(track, likeness=track.likeness + _LIKENESS_WEIGHT * (alike - track.likeness))


def steady_maps(maps: Maps, track: Track | None, at_s: float) -> Maps:
    """The maps with view, structures' confidences and grade averaged over the last moments; places are the frame's."""
    if track is None:
        return maps
    dt = at_s - track.at_s
    told, grade = _weight(dt, _TOLD_S), _weight(dt, _GRADE_S)
    return replace(
        maps,
        structures=_toward(track.maps.structures, maps.structures, told),
        view=_toward(track.maps.view, maps.view, told),
        gsus=_toward(track.maps.gsus, maps.gsus, grade),
    )


def follow(findings: Findings, maps: Maps, track: Track | None, look: Look, at_s: float) -> tuple[Findings, Track]:
    """The findings with landmarks steadied and structures held over a moment's absence, and what to remember.

    `maps` are the steadied ones. Findings of another view than the track's, or withheld ones, start anew.
    """
    if track is None or findings.withheld is not None:
        points = tuple(TrackedPoint(point) for point in findings.landmarks)
        seen = (at_s,) * len(findings.structures)
        began = Track(look, at_s, maps, points, findings.structures, seen)
        return findings, began if track is None else gone_on(began, track)
    known = {p.found.name: p for p in track.points}
    carried = _carried([(p.found.x, p.found.y) for p in track.points], track.look, look)
    places = dict(zip(known, carried, strict=True))
    least = _weight(at_s - track.at_s, _POINT_S)
    points = tuple(
        _steadied(point, known[point.name], places[point.name], least) if point.name in known else TrackedPoint(point)
        for point in findings.landmarks
    )
    structures, seen = _held(findings, track, look, at_s)
    told = replace(findings, landmarks=tuple(p.found for p in points), structures=structures)
    return told, gone_on(Track(look, at_s, maps, points, structures, seen), track)


def gone_on(track: Track, before: Track) -> Track:
    """The track as of a frame of the same cine as `before`."""
    return replace(track, goes_on=True, likeness=before.likeness)


def _steadied(new: FoundLandmark, old: TrackedPoint, carried_xy: Points, least: float) -> TrackedPoint:
    off = np.array([new.x, new.y]) - carried_xy
    mean = np.array([old.off_x, old.off_y])
    mean = mean + _DRIFT * (off - mean)
    doubt = float(np.hypot(*mean)) / max(new.spread_px, 0.5)
    x, y = carried_xy + (least + (1 - least) * min(doubt * doubt, 1.0)) * off
    return TrackedPoint(replace(new, x=float(x), y=float(y)), float(mean[0]), float(mean[1]))


def _held(
    findings: Findings, track: Track, look: Look, at_s: float
) -> tuple[tuple[FoundStructure, ...], tuple[float, ...]]:
    """The new structures, and old ones of the same view that have been missing for a moment only."""
    new = {s.structure.name for s in findings.structures}
    kept = [
        (s, seen)
        for s, seen in zip(track.structures, track.seen_s, strict=True)
        if s.structure.name not in new and findings.view in s.structure.views and at_s - seen <= _HELD_S
    ]
    moved = [(_shifted(s, track.look, look), seen) for s, seen in kept]
    every = [(s, at_s) for s in findings.structures] + moved
    return tuple(s for s, _ in every), tuple(seen for _, seen in every)


def _shifted(structure: FoundStructure, before: Look, now: Look) -> FoundStructure:
    middle = structure.contours[0].mean(axis=0)
    shift = _carried([(float(middle[0]), float(middle[1]))], before, now)[0] - middle
    return replace(structure, contours=tuple(part + shift for part in structure.contours))


def _carried(points_xy: list[tuple[float, float]], before: Look, now: Look) -> Points:
    """Where the tissue under points (frame pixels) has gone to; where it cannot be followed, the others' median way."""
    if not points_xy:
        return np.zeros((0, 2))
    start = before.placement.to_network(points_xy).astype(np.float32)
    ended, status, _ = cv2.calcOpticalFlowPyrLK(
        before.picture, now.picture, start, start.copy(), winSize=(_WINDOW_PX, _WINDOW_PX), maxLevel=2
    )
    way = np.asarray(ended) - start
    followed = (np.asarray(status)[:, 0] > 0) & (np.hypot(*way.T) < _WINDOW_PX)
    way[~followed] = np.median(way[followed], axis=0) if followed.any() else 0.0
    return now.placement.to_frame(start + way)


def _weight(dt: float, constant_s: float) -> float:
    """The newest value's weight in an exponential mean of that time constant."""
    return float(1 - np.exp(-dt / constant_s))


def _toward(old: NDArray[np.float32], new: NDArray[np.float32], weight: float) -> NDArray[np.float32]:
    return np.asarray(old + weight * (new - old), np.float32)
