"""The two views with the femoral vessels: iliopectineal (AIIS to IPE), and inferomedial acetabulum.

Lateral is at positive x; the caller mirrors.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.random import Generator
from scipy.interpolate import PchipInterpolator

from datasets.phantom.body import (
    DEEP_MM,
    Body,
    across,
    bone_below,
    clutter_organs,
    cortex,
    draped_layers,
    level,
    line_at,
    muscle,
    skin_and_fat,
)
from datasets.phantom.scene import (
    Interface,
    Mark,
    Patch,
    Region,
    Scene,
    Texture,
    band,
    between,
    ellipse,
    level_at,
    outside,
    rough,
)
from datasets.phantom.vessels import bundle
from model.anatomy import View
from model.geometry import Points

BONE_BAND_MM = 1.5
_OSSIFIED_YEARS: Final = 14.0
_BURSA: Final = 0.1
_BRIM_SLOPE: Final = 0.1
"""How far the pelvic brim leans against the probe's face (SD): nobody holds it quite along."""
_STACKED_MM: Final = 11.0
"""Depth an adult artery needs to lie over the tendon; with less it lies beside it."""
_TENDON_BRIGHT: Final = 0.85
"""Share of tendons met at a right angle; anisotropy darkens the others."""


def iliopectineal(body: Body, rng: Generator) -> Scene:
    """AIIS lateral, notch, eminence medial; tendon on the notch, nerve, artery and vein above."""
    s = body.growth
    apart = rng.uniform(22, 44) * s
    notch_z = body.skin_mm + body.fat_mm + max(rng.uniform(12, 34) * (0.42 + 0.58 * s), 16 * s)
    bone = _pelvic_brim(apart, notch_z, s, rng)
    eminence, aiis = _summit(bone, -apart / 2, 0.25 * apart), _summit(bone, apart / 2, 0.25 * apart)
    reach = 0.25 * (bone[aiis, 0] - bone[eminence, 0])
    patches, lines, fascia = skin_and_fat(body, rng)
    top = float(fascia[:, 1].mean())
    muscles = _muscles(bone, fascia, bone[eminence], rng)
    soft, edges = draped_layers(bone, top, rng)
    muscles += soft
    patches, lines = patches + muscles, lines + edges
    extra = clutter_organs((-28, top, 28, notch_z - 5), rng)
    patches, lines = patches + extra[0], lines + extra[1]
    tendon, soft, edges = _tendon(bone, bone[eminence], s, muscles, rng)
    artery_x = float(bone[eminence, 0]) + rng.uniform(-7, 4) * s
    if float(tendon[:, 1].min()) - top < _STACKED_MM * s:
        artery_x = min(artery_x, float(tendon[:, 0].min()) - rng.uniform(5, 7) * s)
    over_tendon = artery_x + 5 * s > tendon[:, 0].min()
    floor_z = float(tendon[:, 1].min()) if over_tendon else float(bone[eminence, 1])
    artery, vein, vessels, walls = bundle((artery_x, top), floor_z, s, rng)
    patches, lines = patches + vessels + soft, outside(lines, tendon) + walls + edges
    patches.append(bone_below(bone, rng))
    lines += cortex(rng, bone)
    patches += _cartilage(body, bone, aiis, reach, rng)
    regions = (
        Region("aiis", band(_along(bone, aiis, reach), BONE_BAND_MM)),
        Region("psoas_tendon", tendon),
        Region("iliopectineal_eminence", band(_along(bone, eminence, reach), BONE_BAND_MM)),
        Region("femoral_artery", artery),
        Region("femoral_vein", vein),
    )
    marks = (
        Mark("aiis", float(bone[aiis, 0]), float(bone[aiis, 1])),
        Mark("iliopectineal_eminence", float(bone[eminence, 0]), float(bone[eminence, 1])),
    )
    return Scene(View.ILIOPECTINEAL, tuple(patches), tuple(lines), regions, marks)


def inferomedial(body: Body, rng: Generator) -> Scene:
    """The inferomedial acetabular edge as a rounded summit, the head's edge beside it, vessels above."""
    s = body.growth
    summit_z = body.skin_mm + body.fat_mm + rng.uniform(14, 34) * (0.42 + 0.58 * s)
    x = across()
    left, right = rng.uniform(0.3, 1.0), rng.uniform(0.2, 0.9)
    width = rng.uniform(4, 13) * s
    rise = np.where(x < 0, left, right) * (np.sqrt(x**2 + width**2) - width)
    bone = np.stack([x, summit_z + np.minimum(rise, rng.uniform(9, 20)) + rough(x, 0.25, 11, rng)], axis=1)
    top = _summit(bone, 0.0, 5 * s)
    patches, lines, fascia = skin_and_fat(body, rng)
    fascia_z = float(fascia[:, 1].mean())
    soft, edges = draped_layers(bone, fascia_z, rng)
    patches, lines = patches + _adductors(bone, fascia, s, rng) + soft, lines + edges
    extra = clutter_organs((-25, fascia_z, 25, summit_z - 4), rng)
    patches, lines = patches + extra[0], lines + extra[1]
    artery, vein, soft, edges = bundle((rng.uniform(-3, 9) * s, fascia_z), summit_z, s, rng)
    patches, lines = patches + soft, lines + edges
    patches.append(bone_below(bone, rng))
    lines += cortex(rng, bone)
    soft, edges = _head_edge(bone, s, rng)
    patches, lines = patches + soft, lines + edges
    reach = 3.0 if body.age_years < 3 else 6.0
    regions = (
        Region("femoral_artery", artery),
        Region("femoral_vein", vein),
        Region("inferomedial_acetabulum", band(_along(bone, top, reach), BONE_BAND_MM)),
    )
    marks = (Mark("inferomedial_acetabulum", float(bone[top, 0]), float(bone[top, 1])),)
    return Scene(View.INFEROMEDIAL, tuple(patches), tuple(lines), regions, marks)


def _pelvic_brim(apart: float, notch_z: float, s: float, rng: Generator) -> Points:
    high_aiis, high_ipe = rng.uniform(3.5, 13) * s, rng.uniform(2.5, 6.5) * s
    notch_x = rng.uniform(-0.12, 0.18) * apart
    narrow = rng.uniform(0.5, 1.2)
    knots = [
        (-90.0, notch_z + rng.uniform(0, 12)),
        (-apart / 2 - rng.uniform(12, 22) * s, notch_z + rng.uniform(1, 9) * s),
        (-apart / 2 - rng.uniform(4, 7) * s, notch_z - high_ipe + rng.uniform(0.8, 2.5) * s),
        (-apart / 2, notch_z - high_ipe),
        (-apart / 2 + rng.uniform(0.18, 0.26) * apart, notch_z - high_ipe * rng.uniform(0.3, 0.6)),
        (notch_x, notch_z),
        (apart / 2 - narrow * rng.uniform(0.14, 0.22) * apart, notch_z - high_aiis * rng.uniform(0.2, 0.6)),
        (apart / 2, notch_z - high_aiis),
        (apart / 2 + narrow * rng.uniform(3, 6) * s, notch_z - high_aiis + rng.uniform(2, 5) * s),
        (apart / 2 + rng.uniform(9, 15) * s, notch_z + rng.uniform(2, 12) * s),
        (90.0, notch_z + rng.uniform(8, 20)),
    ]
    x = np.linspace(-90, 90, 721)
    z = PchipInterpolator(*np.array(knots).T)(x) + rng.normal(0, _BRIM_SLOPE) * x
    return np.stack([x, z + rough(x, 0.18 * s, 7, rng)], axis=1)


def _summit(bone: Points, near_x: float, within_mm: float) -> int:
    """Index of the point nearest to the probe within a distance of x."""
    inside = np.flatnonzero(np.abs(bone[:, 0] - near_x) <= within_mm)
    return int(inside[np.argmin(bone[inside, 1])])


def _along(bone: Points, middle: int, reach_mm: float) -> Points:
    """The bone surface within a distance along the bone from a point, both ends exact."""
    steps = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(bone, axis=0).T))])
    at = np.linspace(steps[middle] - reach_mm, steps[middle] + reach_mm, 80)
    return np.stack([np.interp(at, steps, bone[:, k]) for k in (0, 1)], axis=1)


def _tendon(
    bone: Points, eminence: Points, s: float, around: Sequence[Patch], rng: Generator
) -> tuple[Points, list[Patch], list[Interface]]:
    """The psoas tendon in its sheath, on the notch; `around` are the muscles it lies in."""
    width, height = rng.uniform(7.6, 12.8) * s / 2, rng.uniform(4, 6.8) * s / 2
    x = eminence[0] + rng.uniform(0.5, 9) * s
    turn = rng.normal(0.1, 0.35)
    outline = ellipse((x, 0.0), (width, height), turn, 0.05, rng)
    # It lies on the bone: a little above the place where it would first touch.
    z = float((np.interp(outline[:, 0], bone[:, 0], bone[:, 1]) - outline[:, 1]).min()) - rng.uniform(0.4, 4) * s
    outline = outline + [0.0, z]
    # Nobody outlines a tendon that looks like the muscle around it: it is brighter, or dark where the beam is tilted.
    contrast = rng.uniform(4, 13) if rng.random() < _TENDON_BRIGHT else rng.uniform(-12, -5)
    lines = [Interface(np.concatenate([outline, outline[:1]]), level(7, rng), rng.uniform(0.2, 0.5), 0.25)]
    grain = rng.uniform(0.1, 0.5)
    patches = [Patch(outline, level_at(around, (x, z)) + contrast, 1.1, Texture.FIBRES, turn, grain)]
    if rng.random() < _BURSA:
        beside = (x - width * rng.uniform(0.4, 1.2), z + rng.uniform(0.3, 1.0) * height)
        bursa = ellipse(beside, (rng.uniform(2, 6) * s, rng.uniform(0.5, 1.5) * s), rng.normal(0, 0.3), 0.1, rng)
        patches.insert(0, Patch(bursa, rng.uniform(-34, -14), 0.12))
    if rng.random() < 0.3:
        cleft = ellipse((x + width * 1.3, z + rng.uniform(-1, 1)), (width * 0.3, height * 0.6), turn)
        patches.append(Patch(cleft, level(3, rng), 0.5))
    return outline, patches, lines


def _cartilage(body: Body, bone: Points, summit: int, reach_mm: float, rng: Generator) -> list[Patch]:
    """The AIIS' unossified cap in a child; its label stays on the bone, which is what can be seen."""
    left = 1 - body.age_years / _OSSIFIED_YEARS
    if left <= 0 or rng.random() < 0.3:
        return []
    surface = _along(bone, summit, rng.uniform(0.5, 1.3) * reach_mm)
    thick = rng.uniform(0.5, 2.5) * left * np.sin(np.linspace(0, np.pi, len(surface)))
    cap = between(surface - np.stack([np.zeros(len(surface)), thick], axis=1), surface)
    return [Patch(cap, rng.uniform(-20, -8), 0.9, softness_mm=0.15)]


def _muscles(bone: Points, fascia: Points, eminence: Points, rng: Generator) -> list[Patch]:
    """Iliopsoas on the notch, sartorius and rectus lateral of it, pectineus medial."""
    deep = np.stack([bone[:, 0], np.full(len(bone), DEEP_MM)], axis=1)
    patches = [muscle(between(fascia, deep), rng)]
    middle = eminence + [rng.uniform(6, 14), -rng.uniform(8, 14)]
    patches.append(
        muscle(
            ellipse((middle[0], middle[1]), (rng.uniform(13, 20), rng.uniform(8, 13)), 0.1, 0.1, rng),
            rng,
            rng.normal(0, 0.3),
        )
    )
    side = rng.uniform(14, 26)
    patches.append(
        muscle(
            ellipse((side, float(fascia[:, 1].mean()) + 5), (rng.uniform(8, 14), rng.uniform(3, 7)), -0.2, 0.1, rng),
            rng,
        )
    )
    medial = (eminence[0] - rng.uniform(10, 20), eminence[1] - rng.uniform(2, 8))
    patches.append(
        muscle(ellipse(medial, (rng.uniform(8, 14), rng.uniform(4, 8)), 0.2, 0.1, rng), rng, rng.normal(0.3, 0.2))
    )
    return patches


def _adductors(bone: Points, fascia: Points, s: float, rng: Generator) -> list[Patch]:
    """Pectineus under the vessels, obturator externus on the bone."""
    deep = np.stack([bone[:, 0], np.full(len(bone), DEEP_MM)], axis=1)
    split = line_at(
        (float(fascia[:, 1].mean()) + float(bone[:, 1].min())) / 2 + rng.uniform(0, 4), rng.normal(0, 0.15), 0.6, rng
    )
    upper = muscle(between(fascia, split), rng, rng.normal(0.2, 0.3))
    lower = muscle(between(split, deep), rng, rng.normal(-0.3, 0.3))
    summit = bone[np.argmin(bone[:, 1])]
    oval = ellipse(
        (summit[0] - rng.uniform(3, 12) * s, summit[1] - 3 * s),
        (rng.uniform(6, 12) * s, rng.uniform(3, 5) * s),
        0.3,
        0.12,
        rng,
    )
    return [upper, lower, muscle(oval, rng, rng.normal(0.3, 0.4))]


def _head_edge(bone: Points, s: float, rng: Generator) -> tuple[list[Patch], list[Interface]]:
    """The femoral head's medial edge, lateral of the acetabular edge, with its cartilage; sometimes out of reach."""
    if rng.random() < 0.25:
        return [], []
    radius = rng.uniform(19, 25) * s
    summit = bone[np.argmin(bone[:, 1])]
    centre = summit + [radius + rng.uniform(2, 8) * s, radius + rng.uniform(-2, 8) * s]
    angle = np.linspace(np.radians(-170), np.radians(-40), 80)
    arc = centre + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    halo = centre + (radius + rng.uniform(0.8, 2.2)) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    clear = arc[:, 0] > summit[0] + 7.5 * max(s, 0.6)
    if clear.sum() < 8:
        return [], []
    arc, halo = arc[clear], halo[clear]
    patches = [Patch(between(halo, arc), level(-18, rng), 0.9), bone_below(arc, rng)]
    return patches, cortex(rng, arc)
