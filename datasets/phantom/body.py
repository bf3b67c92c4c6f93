"""Who lies under the probe, and what all views share: growth, skin, fat, fasciae, small vessels, nodes.

Sizes are those of the project's simulation notes; adult sizes times a growth factor by age.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.random import Generator
from scipy.ndimage import gaussian_filter1d

from datasets.phantom.scene import Interface, Patch, Texture, between, ellipse, rough
from model.geometry import Points

DEEP_MM = 200.0
_FILLED: Final = 0.3
"""Share of bones whose shadow is filled with streaks nearly as bright as tissue, as clutter and side lobes do."""
_ROUGH: Final = 0.7
"""Share of bones rough enough to be seen where they fall away from the beam; of the others the slopes are lost."""
_HEAVY: Final = 0.1
"""Share of obese people beside those of the usual spread."""
WIDE_MM = 90.0
"""Scenes are drawn this far to each side of the middle, beyond any probe's reach."""


@dataclass(frozen=True, slots=True)
class Body:
    """The person: `growth` is size as a share of an adult's; `fat_mm` lies under the skin."""

    age_years: float
    growth: float
    bmi: float
    skin_mm: float
    fat_mm: float


def draw_body(rng: Generator) -> Body:
    """Three quarters children."""
    child = rng.random() < 0.75
    age = float(rng.uniform(0.5, 17) if child else rng.uniform(17, 70))
    growth = float(np.interp(age, [0.5, 2, 5, 10, 15, 18], [0.42, 0.52, 0.68, 0.83, 0.97, 1.0]) * rng.normal(1, 0.06))
    lean = float(np.clip(rng.normal(16.5 if child else 26, 2.2 if child else 4.5), 12, 42))
    heavy = float(rng.uniform(22, 34) if child else rng.uniform(31, 45))
    bmi = heavy if rng.random() < _HEAVY else lean
    fat = (2.0 + max(0.0, bmi - 14) * 0.55) * (0.6 + 0.4 * growth) * rng.uniform(0.6, 1.4)
    return Body(age, growth, bmi, float(rng.uniform(0.8, 1.8)), float(fat))


def level(mean_db: float, rng: Generator, spread_db: float = 3.0) -> float:
    """A tissue's level over muscle, jittered until neighbours overlap."""
    return float(mean_db + rng.normal(0, spread_db))


def across() -> Points:
    """The x positions (N,) of lines that cross the whole scene."""
    return np.linspace(-WIDE_MM, WIDE_MM, 361)


def line_at(depth_mm: float, slope: float, waviness_mm: float, rng: Generator) -> Points:
    """A gently wavy line across the scene."""
    x = across()
    return np.stack([x, depth_mm + slope * x + rough(x, waviness_mm, 25, rng)], axis=1)


def skin_and_fat(body: Body, rng: Generator) -> tuple[list[Patch], list[Interface], Points]:
    """Skin, subcutaneous fat with septa, and the deep fascia, whose line (N, 2) is also returned."""
    skin = line_at(body.skin_mm, 0, 0.05, rng)
    fascia = line_at(body.skin_mm + body.fat_mm, rng.normal(0, 0.03), 0.3, rng)
    fascia[:, 1] = np.maximum(fascia[:, 1], body.skin_mm + 0.8)
    top = np.stack([skin[:, 0], np.full(len(skin), -1.0)], axis=1)
    patches = [
        Patch(between(top, skin), level(5, rng), 0.9),
        Patch(between(skin, fascia), level(-4, rng), 0.5, Texture.SPARSE),
    ]
    lines = [
        Interface(skin, level(6, rng)),
        Interface(broken(fascia, 0.15, rng), level(9, rng), 0.3, rng.uniform(0.3, 0.7)),
    ]
    for _ in range(int(rng.integers(1, 6))):
        depth = rng.uniform(body.skin_mm, body.skin_mm + body.fat_mm)
        septum = line_at(depth, rng.normal(0, 0.08), 0.4, rng)
        lines.append(Interface(piece(septum, rng, (8, 40)), level(5, rng), 0.3))
    return patches, lines, fascia


def broken(line_mm: Points, share: float, rng: Generator) -> Points:
    """The line with a part of its points raised out of reach (NaN), so that it is drawn interrupted."""
    kept = line_mm.copy()
    start = int(rng.integers(0, len(line_mm)))
    kept[start : start + int(share * rng.random() * len(line_mm))] = np.nan
    return kept


def piece(line_mm: Points, rng: Generator, length_mm: tuple[float, float]) -> Points:
    """A part of a line, of a random length, somewhere within 40 mm of the middle."""
    middle, length = rng.uniform(-30, 30), rng.uniform(*length_mm)
    inside = np.abs(line_mm[:, 0] - middle) <= length / 2
    return line_mm[inside] if inside.sum() >= 2 else line_mm[:2]


def muscle(polygon_mm: Points, rng: Generator, angle: float = 0.0) -> Patch:
    """A muscle with fibres along `angle`."""
    return Patch(
        polygon_mm,
        level(0, rng),
        rng.uniform(0.6, 1.1),
        Texture.FIBRES,
        angle + rng.normal(0, 0.08),
        rng.uniform(0.1, 0.6),
    )


def draped_layers(bone_mm: Points, top_mm: float, rng: Generator) -> tuple[list[Patch], list[Interface]]:
    """Layers of muscle and fascia between a depth and the bone, the deeper the more they follow it; often none."""
    count = int(rng.choice([0, 1, 2, 4, 7, 11], p=[0.3, 0.15, 0.15, 0.2, 0.12, 0.08]))
    x = across()
    bed = gaussian_filter1d(np.interp(x, bone_mm[:, 0], bone_mm[:, 1]), rng.uniform(2, 9) / (x[1] - x[0]))
    patches: list[Patch] = []
    lines: list[Interface] = []
    upper: Points | None = None
    for share in np.sort(rng.uniform(0.1, 0.95, count)):
        depth = top_mm + share * (np.median(bed) - top_mm) + share**0.5 * rng.uniform(0.6, 1) * (bed - np.median(bed))
        lower = np.stack([x, np.minimum(depth, bed - 0.3) + rough(x, 0.25, 18, rng)], axis=1)
        if upper is not None and rng.random() < 0.6:
            patches.append(muscle(between(upper, lower), rng, rng.normal(0, 0.1)))
        lines.append(Interface(broken(lower, 0.5, rng), level(5, rng), 0.25, rng.uniform(0.2, 0.6)))
        upper = lower
    return patches, lines


def fascicles(box_mm: tuple[float, float, float, float], rng: Generator) -> list[Interface]:
    """Short bright dashes within muscle, along its fibres, over a box (x0, z0, x1, z1)."""
    count = int(rng.choice([0, 1, 3], p=[0.45, 0.35, 0.2]) * rng.integers(5, 25))
    slope, bright = rng.normal(0, 0.15), rng.uniform(1, 10)
    x0, z0, x1, z1 = box_mm
    out = []
    for _ in range(count):
        length, x, z = rng.uniform(0.8, 6), rng.uniform(x0, x1), rng.uniform(z0, max(z1, z0 + 1))
        at = np.linspace(0, length, 8)
        lean = slope + rng.normal(0, 0.06)
        dash = np.stack([x + at, z + lean * at + rough(at, 0.08, 4, rng)], axis=1)
        out.append(Interface(dash, level(bright, rng), 0.3, rng.uniform(0.15, 0.4)))
    return out


def clutter_organs(box_mm: tuple[float, float, float, float], rng: Generator) -> tuple[list[Patch], list[Interface]]:
    """Small vessels, nodes and fascial branches strewn over a box (x0, z0, x1, z1): look-alikes without a label.

    Where there is next to no muscle over the bone the box may end above its top: then it is a line.
    """
    x0, z0, x1, z1 = box_mm[0], box_mm[1], box_mm[2], max(box_mm[1], box_mm[3])
    patches: list[Patch] = []
    lines: list[Interface] = []
    for _ in range(int(rng.integers(0, 4))):
        centre = (rng.uniform(x0, x1), rng.uniform(z0, z1))
        radius = rng.uniform(0.5, 1.3)
        patches.append(
            Patch(ellipse(centre, (radius * rng.uniform(1, 1.8), radius), rng.uniform(-1, 1)), level(-20, rng, 4), 0.18)
        )
    if rng.random() < 0.2:
        centre = (rng.uniform(x0, x1), rng.uniform(z0, z1))
        radii = (rng.uniform(2, 5), rng.uniform(1.5, 2.8))
        patches.append(Patch(ellipse(centre, radii, rng.normal(0, 0.3), 0.08, rng), level(-9, rng), 0.6))
        patches.append(Patch(ellipse(centre, (radii[0] * 0.5, radii[1] * 0.35)), level(3, rng), 0.6))
    lines += fascicles(box_mm, rng)
    for _ in range(int(rng.integers(1, 7))):
        depth = rng.uniform(z0, max(z1, z0 + 1))
        line = line_at(depth, rng.normal(0, 0.18), 0.6, rng)
        lines.append(Interface(piece(line, rng, (4, 26)), level(5, rng), 0.25, rng.uniform(0.2, 0.5)))
    return patches, lines


def bone_below(surface_mm: Points, rng: Generator) -> Patch:
    """What lies under a bone surface: shadow, filled more or less by clutter."""
    deep = np.stack([surface_mm[:, 0], np.full(len(surface_mm), DEEP_MM)], axis=1)
    under = between(surface_mm, deep)
    if rng.random() < _FILLED:
        texture = Texture.FIBRES if rng.random() < 0.6 else Texture.PLAIN
        return Patch(under, rng.uniform(-18, -2), rng.uniform(0.7, 3), texture, rng.normal(0, 0.3), 0.15, bone=True)
    return Patch(under, rng.uniform(-38, -12), 10 ** rng.uniform(0.45, 1.2), softness_mm=0.15, bone=True)


def _gapped(surface_mm: Points, rng: Generator) -> Points:
    """A bone surface with places, often none, where no echo comes back (NaN)."""
    seen = surface_mm.copy()
    for _ in range(int(rng.choice([0, 1, 3], p=[0.6, 0.25, 0.15]))):
        middle = surface_mm[int(rng.integers(0, len(surface_mm)))]
        seen[np.hypot(*(surface_mm - middle).T) < rng.uniform(0.5, 3)] = np.nan
    return seen


def cortex(rng: Generator, *surfaces_mm: Points) -> list[Interface]:
    """A bone's surfaces as bright lines, equally strong or faint, each whole or with gaps where no echo comes back."""
    strength, thickness = rng.uniform(13, 30), rng.uniform(0.3, 1.1)
    floor = rng.uniform(0.15, 0.45) if rng.random() < _ROUGH else rng.uniform(0.0, 0.1)
    return [Interface(_gapped(surface, rng), strength, floor, thickness, True) for surface in surfaces_mm]
