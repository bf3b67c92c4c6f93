"""A Scene: what lies under the probe, in millimetres. Polygons of tissue, reflecting lines, and the truth.

Coordinates: x along the probe's face, 0 in its middle; z depth from the skin; both mm. Points are (N, 2) as (x, z).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from model.anatomy import View
from model.geometry import Points


class Texture(StrEnum):
    """How scatterers are arranged within a tissue."""

    PLAIN = "plain"
    FIBRES = "fibres"
    SPARSE = "sparse"


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """A polygon of tissue. `level_db` relative to muscle; `attenuation` in dB/cm/MHz; later patches cover earlier ones.

    `fibre_angle` is the direction of its fibres from the x axis, radians. `softness_mm` blurs its border. `bone`: what
    lies under a bone surface, where shadow and clutter are seen, not tissue.
    """

    polygon_mm: Points
    level_db: float
    attenuation: float = 0.7
    texture: Texture = Texture.PLAIN
    fibre_angle: float = 0.0
    softness_mm: float = 0.2
    flow: bool = False
    bone: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Interface:
    """A reflecting line. `strength_db` over muscle at right angles; `floor` 0..1 is what is left at grazing angles."""

    line_mm: Points
    strength_db: float
    floor: float = 0.2
    thickness_mm: float = 0.3
    bone: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """The exact outline of a labelled structure."""

    name: str
    polygon_mm: Points


@dataclass(frozen=True, slots=True)
class Mark:
    """The exact place of a landmark."""

    name: str
    x_mm: float
    z_mm: float


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Everything a renderer draws and everything the truth says."""

    view: View
    patches: tuple[Patch, ...]
    interfaces: tuple[Interface, ...]
    regions: tuple[Region, ...] = ()
    marks: tuple[Mark, ...] = ()
    gsus: int | None = None
    capsule_distance_mm: float | None = None
    sagitta_mm: float | None = None
    sagitta_ratio: float | None = None
    synovium_mm: Points | None = None
    background_db: float = 0.0


def ellipse(
    centre_mm: tuple[float, float],
    radii_mm: tuple[float, float],
    angle: float = 0.0,
    bumps: float = 0.0,
    rng: np.random.Generator | None = None,
) -> Points:
    """A closed outline (64, 2); `bumps` roughens it by that share of its radius."""
    at = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    reach = np.ones(64)
    if rng is not None and bumps > 0:
        for order in range(2, 6):
            reach += bumps / order * rng.normal() * np.cos(order * at + rng.uniform(0, 6.3))
    x, z = radii_mm[0] * reach * np.cos(at), radii_mm[1] * reach * np.sin(at)
    turned = np.stack([x * np.cos(angle) - z * np.sin(angle), x * np.sin(angle) + z * np.cos(angle)], axis=1)
    return np.asarray(turned + np.asarray(centre_mm))


def rough(x_mm: NDArray[np.float64], amplitude_mm: float, wavelength_mm: float, rng: np.random.Generator) -> Points:
    """A smooth random height (N,) over x, of about that amplitude (SD) and wavelength."""
    total = np.zeros_like(x_mm)
    for _ in range(5):
        wavelength = wavelength_mm * rng.uniform(0.6, 2.2)
        total += rng.normal() * np.sin(2 * np.pi * x_mm / wavelength + rng.uniform(0, 6.3))
    return np.asarray(amplitude_mm * total / np.sqrt(2.5))


def band(line_mm: Points, depth_mm: float) -> Points:
    """The polygon from a bone surface to `depth_mm` deep of it, perpendicular to the surface."""
    tangent = np.gradient(line_mm, axis=0)
    tangent /= np.maximum(np.hypot(tangent[:, 0], tangent[:, 1])[:, None], 1e-9)
    inward = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    inward *= np.where(inward[:, 1:2] < 0, -1.0, 1.0)
    return np.concatenate([line_mm, (line_mm + inward * depth_mm)[::-1]])


def tapered(count: int, first: float, last: float) -> Points:
    """A layer's thickness (count, 1) along its length, as a share: rising and falling smoothly over shares of it."""
    at = np.linspace(0, 1, count)[:, None]
    rise = np.clip(np.minimum(at / first, (1 - at) / last), 0, 1)
    return np.asarray(rise * rise * (3 - 2 * rise))


def between(upper_mm: Points, lower_mm: Points) -> Points:
    """The closed polygon between two lines that run the same way."""
    return np.concatenate([upper_mm, lower_mm[::-1]])


def outside(lines: Sequence[Interface], polygon_mm: Points) -> list[Interface]:
    """The lines without their parts inside a polygon: fascia does not run through what lies in it."""
    kept = []
    for line in lines:
        points = line.line_mm.copy()
        points[within(points, polygon_mm)] = np.nan
        kept.append(replace(line, line_mm=points))
    return kept


def within(points_mm: Points, polygon_mm: Points) -> NDArray[np.bool_]:
    """Which points (N,) lie inside a polygon (even-odd rule); NaN points do not."""
    x, z = points_mm[:, :1], points_mm[:, 1:]
    start, end = polygon_mm, np.roll(polygon_mm, -1, axis=0)
    crosses = (start[:, 1] > z) != (end[:, 1] > z)
    rise = np.where(end[:, 1] == start[:, 1], 1.0, end[:, 1] - start[:, 1])
    left = x < start[:, 0] + (z - start[:, 1]) / rise * (end[:, 0] - start[:, 0])
    return np.asarray((crosses & left).sum(axis=1) % 2 == 1)


def level_at(patches: Sequence[Patch], place_mm: tuple[float, float]) -> float:
    """Level in dB of the last patch that covers a place; 0, as muscle, where none does."""
    for patch in reversed(patches):
        if cv2.pointPolygonTest(patch.polygon_mm.astype(np.float32), place_mm, False) >= 0:
            return patch.level_db
    return 0.0


def mirrored(scene: Scene) -> Scene:
    """The scene with left and right exchanged: another hip, or a turned probe."""
    turned = _moved(scene, lambda points: points * np.array([-1.0, 1.0]))
    return replace(turned, patches=tuple(replace(p, fibre_angle=-p.fibre_angle) for p in turned.patches))


def shifted(scene: Scene, along_mm: float, deeper_mm: float = 0.0) -> Scene:
    """The scene seen by a probe that stands elsewhere along x, or presses less."""
    return _moved(scene, lambda points: points + np.array([along_mm, deeper_mm]))


def span_mm(scene: Scene) -> tuple[float, float, float]:
    """(x0, x1, z1): how far the labelled structures reach; a probe's usual reach where there are none."""
    if not scene.regions:
        return -18.0, 18.0, 35.0
    points = np.concatenate([region.polygon_mm for region in scene.regions])
    return float(points[:, 0].min()), float(points[:, 0].max()), float(points[:, 1].max())


def _moved(scene: Scene, move: Callable[[Points], Points]) -> Scene:
    at = {mark: move(np.array([[mark.x_mm, mark.z_mm]]))[0] for mark in scene.marks}
    return replace(
        scene,
        patches=tuple(replace(p, polygon_mm=move(p.polygon_mm)) for p in scene.patches),
        interfaces=tuple(replace(i, line_mm=move(i.line_mm)) for i in scene.interfaces),
        regions=tuple(replace(r, polygon_mm=move(r.polygon_mm)) for r in scene.regions),
        marks=tuple(Mark(mark.name, float(x), float(z)) for mark, (x, z) in at.items()),
        synovium_mm=None if scene.synovium_mm is None else move(scene.synovium_mm),
    )
