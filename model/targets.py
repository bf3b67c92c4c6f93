"""Findings -> denervation targets with their vessel clearance: where, how safe, or the reason why not.

Definitions are those of the annotation protocol: targets are named by bone, the nerve is told "per protocol".
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from model.anatomy import View
from model.findings import Findings, FoundStructure
from model.frame import Frame, Region
from model.geometry import Points, distance_to_polygon
from model.measure import NO_SCALE, common_spacing, superficial_edge, to_mm

_CHILD_YEARS: Final = 3.0
_CLEARANCE_MM: Final = (5.0, 10.0)
_CLEARANCE_CHILD_MM: Final = (3.0, 6.0)
_BEYOND: Final = 0.015
"""Share of a region's longer side that an outline may reach over its edge: a few pixels of the network."""
_VESSELS: Final = ("femoral_artery", "femoral_vein")

ILIOPECTINEAL_NERVE: Final = "femoral articular branches (per protocol)"
INFEROMEDIAL_NERVE: Final = "accessory obturator nerve (per protocol)"


@dataclass(frozen=True, slots=True)
class Clearance:
    """Shortest distance from a target to a vessel's edge; None without a scale."""

    structure: str
    distance_mm: float | None


@dataclass(frozen=True, slots=True)
class Target:
    """A denervation target named by its bone. `safety`: danger, caution or clear; None with its reason.

    The reasons: no scale, or one vessel was not found and the other is far.
    """

    name: str
    x: float
    y: float
    nerve: str
    clearances: tuple[Clearance, ...]
    safety: str | None
    reason: str | None = None


def targets(findings: Findings, frame: Frame) -> tuple[tuple[Target, ...], str | None]:
    """The denervation target of the view with its vessel clearance, or the reason why the view shows none.

    There is none beside which neither vessel was found: nobody could tell how safe it is.
    """
    aim = None if findings.withheld is not None else _AIMS.get(findings.view)
    if aim is None:
        return (), None
    vessels = [v for v in (findings.structure(name) for name in _VESSELS) if v is not None]
    point = aim.at(findings, frame) if vessels else f"neither {' nor '.join(_VESSELS)} found"
    if isinstance(point, str):
        return (), f"no {aim.name}: {point}"
    return (_target(aim, point, vessels, frame),), None


def _iliopectineal_point(findings: Findings, frame: Frame) -> Points | str:
    """The seen bone surface between AIIS and IPE nearest to the deep lateral border of the psoas tendon.

    Nearest in millimetres where there is a scale, since rows and columns may differ in it.
    """
    tendon = findings.structure("psoas_tendon")
    aiis, eminence = findings.landmark("aiis"), findings.landmark("iliopectineal_eminence")
    if tendon is None or aiis is None or eminence is None:
        missing = (("psoas_tendon", tendon), ("aiis", aiis), ("iliopectineal_eminence", eminence))
        return f"{next(name for name, found in missing if found is None)} not found"
    between = np.array([aiis.x, eminence.x])
    bones = [findings.structure(name) for name in ("iliopectineal_eminence", "aiis")]
    edges = [edge for bone in bones if bone and (edge := superficial_edge(bone, between)) is not None]
    if not edges:
        return "no bone surface found between aiis and iliopectineal_eminence"
    surface, outline = np.concatenate(edges), tendon.contours[0]
    spacing = common_spacing(frame, np.array([[aiis.x, aiis.y], [eminence.x, eminence.y]])) or (1.0, 1.0)
    outline_mm = to_mm(outline, spacing)
    lateral = np.sign(aiis.x - eminence.x)
    border_mm = outline_mm[np.argmax(outline_mm @ np.array([lateral, 1.0]))]
    return np.asarray(surface[np.argmin(np.hypot(*(to_mm(surface, spacing) - border_mm).T))])


def _inferomedial_point(findings: Findings, _: Frame) -> Points | str:
    summit = findings.landmark("inferomedial_acetabulum")
    return "inferomedial_acetabulum not found" if summit is None else np.array([summit.x, summit.y])


@dataclass(frozen=True, slots=True)
class _Aim:
    """A view's target: its name, the nerve that is treated there, and where it is or why it cannot be told."""

    name: str
    nerve: str
    at: Callable[[Findings, Frame], Points | str]


_AIMS: Final = MappingProxyType(
    {
        View.ILIOPECTINEAL: _Aim("iliopectineal_target", ILIOPECTINEAL_NERVE, _iliopectineal_point),
        View.INFEROMEDIAL: _Aim("inferomedial_target", INFEROMEDIAL_NERVE, _inferomedial_point),
    }
)


def _target(aim: _Aim, at: Points, vessels: list[FoundStructure], frame: Frame) -> Target:
    clearances = tuple(Clearance(v.structure.name, _clearance_mm(at, v, frame)) for v in vessels)
    known = [c.distance_mm for c in clearances if c.distance_mm is not None]
    x, y = float(at[0]), float(at[1])
    if not known:
        return Target(aim.name, x, y, aim.nerve, clearances, None, NO_SCALE)
    small = frame.age_years is not None and frame.age_years < _CHILD_YEARS
    danger, caution = _CLEARANCE_CHILD_MM if small else _CLEARANCE_MM
    unknown = [name for name in _VESSELS if name not in {c.structure for c in clearances if c.distance_mm is not None}]
    reason = f"clearance to the {unknown[0]} unknown" if unknown else None
    return Target(aim.name, x, y, aim.nerve, clearances, _safety(min(known), (danger, caution), not unknown), reason)


def _safety(nearest_mm: float, limits_mm: tuple[float, float], whole: bool) -> str | None:
    """A near vessel is a danger whatever else is there; "clear" takes both vessels (`whole`)."""
    danger, caution = limits_mm
    if nearest_mm < caution:
        return "danger" if nearest_mm < danger else "caution"
    return "clear" if whole else None


def _clearance_mm(at: Points, vessel: FoundStructure, frame: Frame) -> float | None:
    outline = _cut_to(frame.region_at(float(at[0]), float(at[1])), vessel.contours[0])
    corners = np.concatenate([at[None], outline.min(axis=0)[None], outline.max(axis=0)[None]])
    spacing = common_spacing(frame, corners)
    if spacing is None:
        return None
    return distance_to_polygon(to_mm(at[None], spacing)[0], to_mm(outline, spacing))


def _cut_to(region: Region | None, outline: Points) -> Points:
    """An outline that reaches a little over the region's edge, where no scale holds, ends there.

    A vessel cut by the picture's edge is outlined up to a network pixel or two beyond it. One that lies further out is
    of another region, and stays as it is.
    """
    if region is None:
        return outline
    within = np.clip(outline, (region.x0, region.y0), (region.x1, region.y1))
    beyond = _BEYOND * max(region.x1 - region.x0, region.y1 - region.y0)
    return np.asarray(within if np.abs(within - outline).max() <= beyond else outline)
