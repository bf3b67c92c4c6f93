"""The SOLAR view: along the femoral neck, from the acetabular rim to the distal insertion of the capsule."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from scipy.interpolate import PchipInterpolator

from datasets.phantom.body import (
    WIDE_MM,
    Body,
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
    outside,
    rough,
    tapered,
)
from model.anatomy import View
from model.geometry import Points, perpendicular_span, sagitta
from model.grade import GradeRules

BONE_BAND_MM = 1.5
_DISTENSION_MM = {0: (0.0, 0.0), 1: (0.8, 2.2), 2: (1.8, 4.2), 3: (3.4, 6.5)}
_PLATE_CLOSED_YEARS = 15.0
_SEEN_MM = 1.2
"""A thinner stripe of fluid cannot be seen in a deep picture, and a grade nobody can see is not a grade."""
_STRAIGHT = GradeRules().straight_ratio
_SAGITTA_RATIO = {0: (-0.105, -_STRAIGHT), 1: (-0.085, -_STRAIGHT), 2: (-_STRAIGHT, _STRAIGHT), 3: (_STRAIGHT, 0.17)}
"""Sagitta over chord, up to the borders of the protocol's rule: real hips lie there too."""


@dataclass(frozen=True, slots=True)
class Hip:
    """Drawn sizes of a hip along its neck, x from proximal (negative) to distal; `normal_mm` undistended."""

    gsus: int
    normal_mm: float
    distance_mm: float
    sagitta_ratio: float
    radius_mm: float
    neck_mm: float
    hollow_mm: float
    tilt: float
    top_mm: float
    cartilage_mm: float


Bones = tuple[Points, Points, Points, Points, Points]
"""Rim point (2,), then head arc, neck, shaft and ilium lines (N, 2), in mm."""


def draw_hip(body: Body, rng: Generator) -> Hip:
    """A hip of a grade drawn evenly; millimetres of neighbouring grades overlap, shape does not."""
    s, gsus = body.growth, int(rng.integers(0, 4))
    years = min(body.age_years, 16.0)
    normal = 3.7 + 0.19 * (years - 0.5) + rng.normal(0, 0.35 + 0.016 * years)
    radius = rng.uniform(21.5, 26.5) * s
    distension, ratio = _distension(gsus, s, rng)
    return Hip(
        gsus=gsus,
        normal_mm=normal,
        distance_mm=normal + distension,
        sagitta_ratio=ratio,
        radius_mm=radius,
        neck_mm=rng.uniform(0.9, 1.35) * radius,
        hollow_mm=rng.uniform(0.8 + 0.8 * s, 4.2 * s),
        tilt=float(np.clip(rng.normal(0.05, 0.15), -0.4, 0.5)),
        top_mm=body.skin_mm + body.fat_mm + rng.uniform(11, 22) * (0.35 + 0.65 * s),
        cartilage_mm=rng.uniform(1, 2) * np.interp(body.age_years, [0.5, 8, 18], [2.2, 1.5, 1]),
    )


def distended(hip: Hip, gsus: int, body: Body, rng: Generator) -> Hip:
    """The same hip with a capsule of that grade, drawn anew: its bones and its normal distance stay."""
    distension, ratio = _distension(gsus, body.growth, rng)
    return replace(hip, gsus=gsus, distance_mm=hip.normal_mm + distension, sagitta_ratio=ratio)


def _distension(gsus: int, growth: float, rng: Generator) -> tuple[float, float]:
    """How far a capsule of that grade stands off beyond normal, in mm, and its sagitta over its chord."""
    distension = rng.uniform(*_DISTENSION_MM[gsus]) * (0.6 + 0.4 * growth)
    return distension, rng.uniform(*_SAGITTA_RATIO[gsus])


def longitudinal(body: Body, rng: Generator) -> Scene:
    """The scene of a drawn hip, with its exact capsule distance and sagitta."""
    hip = draw_hip(body, rng)
    return hip_scene(body, hip, draw_bones(hip, rng), rng)


def hip_scene(body: Body, hip: Hip, bones: Bones, rng: Generator) -> Scene:
    """The scene of a hip over its bones, with its exact capsule distance and sagitta; tissue is drawn."""
    rim, head, neck, shaft, ilium = bones
    start = _above_junction(hip, neck)
    capsule_neck = _over_chord(start, neck[-1], hip.sagitta_ratio)
    capsule_head = _over_head(rim, head, start, hip)
    outer = np.concatenate([capsule_head[:-1], capsule_neck])
    distance, _ = perpendicular_span(neck, capsule_neck)
    height, chord = sagitta(capsule_neck)
    cortex = np.concatenate([head, neck[1:]])
    recess = between(outer, cortex)
    patches, lines = _tissue(hip, body, (ilium, rim, head, neck, shaft), outer, rng)
    regions = (
        Region("femoral_head", band(head, BONE_BAND_MM)),
        Region("femoral_neck", band(neck, BONE_BAND_MM)),
        Region("anterior_recess", recess),
    )
    marks = (
        Mark("head_neck_junction", float(neck[0, 0]), float(neck[0, 1])),
        Mark("acetabular_rim", float(rim[0]), float(rim[1])),
        Mark("capsule_insertion", float(neck[-1, 0]), float(neck[-1, 1])),
    )
    synovium = between(capsule_neck + [0.0, 0.7], neck - [0.0, 0.4])
    return Scene(
        View.LONGITUDINAL,
        tuple(patches),
        tuple(lines),
        regions,
        marks,
        hip.gsus,
        distance,
        height,
        height / chord,
        synovium,
    )


def draw_bones(hip: Hip, rng: Generator) -> Bones:
    """Rim point, head arc, neck, shaft and ilium lines, turned by the hip's tilt about the head's top."""
    r = hip.radius_mm
    first, last = np.radians(-rng.uniform(26, 46)), np.radians(rng.uniform(34, 56))
    angle = np.linspace(first, last, 90)
    head = np.stack([r * np.sin(angle), hip.top_mm + r * (1 - np.cos(angle))], axis=1)
    junction = head[-1]
    end = junction + [hip.neck_mm, rng.uniform(-0.02, 0.24) * hip.neck_mm]
    at = np.linspace(0, 1, 80)
    sag = hip.hollow_mm * (4 * at * (1 - at)) ** rng.uniform(0.8, 1.3)
    neck = junction + at[:, None] * (end - junction) + np.stack([np.zeros(80), sag], axis=1)
    neck[:, 1] += rough(neck[:, 0], 0.06, 9, rng) * np.sin(np.pi * at)
    beyond = np.linspace(0, WIDE_MM, 80)
    shaft = end + np.stack([beyond, -rng.uniform(0.5, 3) * (1 - np.exp(-beyond / 6)) + 0.06 * beyond], axis=1)
    rim = head[0] + [rng.uniform(-1.5, 0.5), -hip.cartilage_mm - rng.uniform(0.6, 1.6)]
    back = np.linspace(0, WIDE_MM, 80)
    ilium = (rim + np.stack([-back, rng.uniform(-0.15, 0.35) * back + rough(back, 0.2, 12, rng) * (back > 1)], axis=1))[
        ::-1
    ]
    turn = np.array([[np.cos(hip.tilt), np.sin(hip.tilt)], [-np.sin(hip.tilt), np.cos(hip.tilt)]])
    centre = np.array([0.0, hip.top_mm])
    shift = np.array([rng.uniform(-9, 1) * hip.radius_mm / 24, 0.0])
    turned = [(part - centre) @ turn + centre + shift for part in (rim[None], head, neck, shaft, ilium)]
    return turned[0][0], turned[1], turned[2], turned[3], turned[4]


def _above_junction(hip: Hip, neck: Points) -> Points:
    """Where the outer capsule lies over the head-neck junction, so that the largest distance comes out as drawn."""
    junction, end = neck[0], neck[-1]
    along = (end - junction) / np.hypot(*(end - junction))
    up = np.array([along[1], -along[0]])
    low, high = 0.3, 3 * hip.distance_mm
    start = junction
    for _ in range(18):
        lift = (low + high) / 2
        start = junction + up * lift
        reached, _ = perpendicular_span(neck[::4], _over_chord(start, end, hip.sagitta_ratio)[::2])
        low, high = (lift, high) if reached < hip.distance_mm else (low, lift)
    return np.asarray(start)


def _over_chord(start: Points, end: Points, ratio: float) -> Points:
    """The outer capsule over the neck: a parabola whose sagitta is that share of its chord."""
    at = np.linspace(0, 1, 80)
    chord = end - start
    up = np.array([chord[1], -chord[0]])
    bow = at * (1 - at)
    return np.asarray(start + at[:, None] * chord + ratio * (bow / bow.max())[:, None] * up)


def _over_head(rim: Points, head: Points, start: Points, hip: Hip) -> Points:
    """The outer capsule from the rim over the head's cartilage to above the junction.

    Knots close above the cartilage, so that the capsule leaves the head only towards the neck."""
    middle = len(head) // 2
    centre = _centre_of(head, hip)
    outward = (head - centre) / np.hypot(*(head - centre).T)[:, None]
    thin = hip.cartilage_mm + 0.5 * min(hip.distance_mm, 6.0)
    lift = float(np.hypot(*(start - head[-1])))
    places = ((middle // 2, 0.85 * thin), (middle, thin), (int(0.78 * len(head)), 0.6 * thin + 0.4 * lift))
    knots = np.array([rim, *(head[k] + outward[k] * t for k, t in places), start])
    steps = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(knots, axis=0).T))])
    return np.asarray(PchipInterpolator(steps, knots)(np.linspace(0, steps[-1], len(head) + 2)))


def _centre_of(head: Points, hip: Hip) -> Points:
    """The centre of the head's circle, from its arc."""
    chord = head[-1] - head[0]
    half = np.hypot(*chord) / 2
    down = np.array([-chord[1], chord[0]]) / (2 * half)
    return np.asarray((head[0] + head[-1]) / 2 + down * np.sqrt(max(hip.radius_mm**2 - half**2, 0.0)))


def _tissue(
    hip: Hip, body: Body, bones: tuple[Points, Points, Points, Points, Points], outer: Points, rng: Generator
) -> tuple[list[Patch], list[Interface]]:
    ilium, rim, head, neck, shaft = bones
    patches, lines, fascia = skin_and_fat(body, rng)
    bone = np.concatenate([ilium, rim[None], head, neck[1:], shaft[1:]])
    floor = np.stack([bone[:, 0], bone[:, 1] * 0 + 200.0], axis=1)
    divide = line_at(
        float(fascia[:, 1].mean()) + rng.uniform(0.3, 0.6) * max(hip.top_mm - float(fascia[:, 1].mean()), 4),
        0.0,
        0.5,
        rng,
    )
    patches += [muscle(between(fascia, divide), rng), muscle(between(divide, floor), rng, hip.tilt)]
    lines += [Interface(divide, level(7, rng), 0.25)]
    soft, edges = draped_layers(bone - [0.0, hip.distance_mm], float(fascia[:, 1].mean()), rng)
    patches, lines = patches + soft, lines + edges
    extra = clutter_organs((-25, float(fascia[0, 1]), 25, hip.top_mm), rng)
    patches += extra[0]
    lines += extra[1]
    if rng.random() < 0.4:
        patches.append(_iliocapsularis(outer, body.growth, rng))
    lines = outside(lines, between(np.concatenate([ilium, outer, shaft[1:]]), floor))
    inner = np.concatenate([head, neck[1:]])
    patches.append(Patch(between(outer, inner), level(3, rng, 2), 0.7, softness_mm=0.15))
    patches += _inside(hip, outer, head, neck, rng)
    lines.append(Interface(outer, level(8, rng), rng.uniform(0.3, 0.6), rng.uniform(0.3, 0.8)))
    if rng.random() < 0.5:
        # The iliopsoas fascia, or fat over the capsule: alike, but not the capsule.
        lines.append(Interface(outer - [0.0, rng.uniform(1.2, 3.5)], level(2, rng), 0.3, 0.4))
    labrum = np.array(
        [rim + [-0.8, 0.3], rim + [3.2 * body.growth, -1.0 * body.growth], rim + [3.0 * body.growth, 1.2]]
    )
    patches.append(Patch(labrum, level(8, rng), 0.9))
    patches.append(bone_below(bone, rng))
    if body.age_years < _PLATE_CLOSED_YEARS:
        head = _with_growth_plate(head, rng)
    return patches, lines + cortex(rng, ilium, head, neck, shaft)


def _iliocapsularis(outer: Points, s: float, rng: Generator) -> Patch:
    """A small muscle that lies on the capsule."""
    at = outer[int(rng.uniform(0.3, 0.8) * len(outer))]
    along = float(np.arctan2(outer[-1, 1] - outer[0, 1], outer[-1, 0] - outer[0, 0]))
    long, thick = rng.uniform(6, 14) * s, rng.uniform(1.2, 3) * s
    turn = along + rng.normal(0, 0.1)
    return muscle(ellipse((at[0], at[1] - thick), (long, thick), turn, 0.08, rng), rng, turn)


def _with_growth_plate(head: Points, rng: Generator) -> Points:
    """The head's cortex with the gap of its open growth plate."""
    open_head = head.copy()
    middle = int(rng.uniform(0.55, 0.9) * len(head))
    open_head[middle : middle + int(rng.integers(1, 4))] = np.nan
    return open_head


def _inside(hip: Hip, outer: Points, head: Points, neck: Points, rng: Generator) -> list[Patch]:
    """Cartilage over the head; capsule layers, fluid and synovium over the neck."""
    centre = _centre_of(head, hip)
    outward = (head - centre) / np.hypot(*(head - centre).T)[:, None]
    thick = hip.cartilage_mm * tapered(len(head), 0.12, 0.2)
    patches = [Patch(between(head + outward * thick, head), rng.uniform(-26, -6), 0.9, softness_mm=0.2)]
    over = outer[len(head) + 1 :]
    lower = np.stack(
        [np.interp(np.linspace(0, 1, len(over)), np.linspace(0, 1, len(neck)), neck[:, k]) for k in (0, 1)], axis=1
    )
    front = rng.uniform(0.18, 0.4) if hip.gsus else 0.46
    back = max(rng.uniform(0.62, 0.9), front + _SEEN_MM / hip.distance_mm) if hip.gsus else 0.54
    profile = tapered(len(over), rng.uniform(0.12, 0.3), rng.uniform(0.12, 0.25))
    middle = (front + back) / 2
    top = over + (lower - over) * (middle + (front - middle) * profile)
    bottom = over + (lower - over) * (middle + (back - middle) * profile)
    if hip.gsus == 0:
        return [*patches, Patch(between(top, bottom), level(6, rng), 0.7, softness_mm=0.1)]
    fluid = hip.gsus == 1 or rng.random() < 0.55
    darkness = rng.uniform(-36, -13) if fluid else rng.uniform(-14, -5)
    patches.append(Patch(between(top, bottom), darkness, 0.12 if fluid else 0.6, softness_mm=0.2))
    if fluid and rng.random() < 0.5:
        part = between(top + (bottom - top) * rng.uniform(0.55, 0.75), bottom)
        patches.append(Patch(part, level(-11, rng), 0.6, Texture.SPARSE))
    return patches
