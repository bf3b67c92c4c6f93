"""Vessels: one with its wall, and the femoral bundle of nerve, artery and vein."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.random import Generator

from datasets.phantom.body import level
from datasets.phantom.scene import Interface, Patch, Texture, ellipse
from model.geometry import Points

_BRANCHED: Final = 0.2


@dataclass(frozen=True, slots=True)
class Wall:
    """A vessel's wall: thickness as a range of shares of its radius, and levels of wall and of its lining in dB."""

    share: tuple[float, float]
    level_db: float
    lining_db: float


ARTERY_WALL: Final = Wall((0.1, 0.2), 5.0, 7.0)
VEIN_WALL: Final = Wall((0.04, 0.09), 1.0, 1.0)
"""An artery's thick, bright wall and round lumen tell it from the vein beside it, which a probe flattens."""


def vessel(
    centre_mm: tuple[float, float], radii_mm: tuple[float, float], angle: float, wall: Wall, rng: Generator
) -> tuple[list[Patch], list[Interface], Points]:
    """A vessel: dark lumen, brighter wall; returns its outline with wall, which is its label."""
    thick = float(np.clip(rng.uniform(*wall.share) * min(radii_mm), 0.12, 0.9))
    outer = ellipse(centre_mm, radii_mm, angle, 0.03, rng)
    inner = (outer - centre_mm) * (1 - thick / max(min(radii_mm), 0.3)) + centre_mm
    blood = rng.uniform(-34, -9)
    patches = [
        Patch(outer, level(wall.level_db, rng), 0.65, softness_mm=0.15),
        Patch(inner, blood, 0.18, softness_mm=rng.uniform(0.1, 0.5), flow=True),
    ]
    closed = np.concatenate([outer, outer[:1]])
    return patches, [Interface(closed, level(wall.lining_db, rng), 0.1, 0.25)], outer


def bundle(
    start: tuple[float, float], floor_z: float, s: float, rng: Generator
) -> tuple[Points, Points, list[Patch], list[Interface]]:
    """Nerve, artery and vein from lateral to medial, between the fascia and what lies deep to them at `floor_z`.

    Gives (artery, vein, tissue, lines).
    """
    fascia_z = start[1]
    radius = float(np.clip(rng.uniform(5, 8.5) * s, 2.5, 9)) / 2
    room = max(floor_z - fascia_z, 4 * radius)
    z = fascia_z + float(
        np.clip(rng.uniform(0.12, 0.42) * room + radius, radius + 0.3, max(room - radius - 1.5, radius + 0.3))
    )
    squash = rng.uniform(0.92, 1.05)
    artery_patches, artery_lines, artery = vessel(
        (start[0], z), (radius, radius * squash), rng.normal(0, 0.2), ARTERY_WALL, rng
    )
    wide = float(np.clip(rng.uniform(8, 13) * s, 3, 13)) / 2
    compression = float(rng.choice([1.0, rng.uniform(0.12, 1.0)], p=[0.4, 0.6]))
    tall = max(0.82 * wide * compression, 0.5)
    gap = rng.uniform(0.2, 2.5) * s
    offset = rng.uniform(0.25, 0.9) if rng.random() < 0.1 else 1.0
    deep = z + rng.normal(0.3, 0.9) * s + (1 - offset) * (radius + tall + 1)
    centre = (start[0] - offset * (radius + wide + gap), min(deep, max(floor_z - tall - 1.0, fascia_z + tall)))
    vein_patches, vein_lines, vein = vessel(
        centre, (wide * (1 + 0.15 * (1 - compression)), tall), rng.normal(0, 0.15), VEIN_WALL, rng
    )
    branch_patches, branch_lines = _branch((start[0], z), radius, rng)
    nerve_at = (start[0] + radius + rng.uniform(2.5, 6) * s, z + rng.uniform(0, 3) * s)
    nerve = ellipse(
        nerve_at, (rng.uniform(4.4, 10) * s / 2, rng.uniform(1.8, 3.8) * s / 2), rng.normal(0, 0.3), 0.12, rng
    )
    sheath = ellipse(
        ((start[0] + centre[0]) / 2, z),
        (radius + wide + gap + 1.5, max(radius, tall) + 1.5),
        rng.normal(0, 0.08),
        0.05,
        rng,
    )
    patches = [
        Patch(sheath, level(3, rng), 0.6, softness_mm=0.7),
        Patch(nerve, level(6, rng), 0.8, Texture.SPARSE, softness_mm=0.4),
    ]
    vessels = branch_patches + vein_patches + artery_patches
    return artery, vein, patches + vessels, branch_lines + vein_lines + artery_lines


def _branch(artery_at: tuple[float, float], radius: float, rng: Generator) -> tuple[list[Patch], list[Interface]]:
    """Sometimes the deep femoral or a circumflex artery beside the common one: a look-alike without a label."""
    if rng.random() > _BRANCHED:
        return [], []
    small = radius * rng.uniform(0.3, 0.7)
    angle, away = rng.uniform(-0.3, 1.7), radius + small + rng.uniform(0.2, 2.5)
    place = (artery_at[0] + away * np.cos(angle), artery_at[1] + away * np.sin(angle))
    patches, lines, _ = vessel(place, (small, small * rng.uniform(0.8, 1)), 0.0, ARTERY_WALL, rng)
    return patches, lines
