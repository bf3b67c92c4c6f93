"""Everything that is not one of the three views: other regions, no contact, screens, photographs."""

from itertools import pairwise

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from datasets.phantom.body import (
    Body,
    across,
    bone_below,
    clutter_organs,
    cortex,
    level,
    line_at,
    muscle,
    skin_and_fat,
)
from datasets.phantom.scene import Interface, Patch, Scene, Texture, between, ellipse, rough
from datasets.phantom.vessels import ARTERY_WALL, VEIN_WALL, vessel
from model.anatomy import View

Picture = NDArray[np.uint8]


def other_scene(body: Body, rng: Generator) -> Scene:
    """Insonated tissue of another region, or of a hip cut where none of the views is."""
    kinds = (_limb, _pennate, _organ, _infant_hip, _joint, _no_contact)
    chosen = int(rng.choice(len(kinds), p=[0.34, 0.2, 0.16, 0.1, 0.12, 0.08]))
    patches, lines = kinds[chosen](body, rng)
    return Scene(View.OTHER, tuple(patches), tuple(lines), background_db=float(rng.normal(0, 3)))


Tissue = tuple[list[Patch], list[Interface]]


def _limb(body: Body, rng: Generator) -> Tissue:
    """Layers of muscle over no bone, a flat shaft, or a rounded bone; some vessels and nerves."""
    patches, lines, fascia = skin_and_fat(body, rng)
    depth = float(fascia[:, 1].mean())
    upper = fascia
    for _ in range(int(rng.integers(1, 4))):
        depth += rng.uniform(4, 16)
        lower = line_at(depth, rng.normal(0, 0.12), rng.uniform(0.2, 1.5), rng)
        patches.append(muscle(between(upper, lower), rng, rng.normal(0, 0.25)))
        lines.append(Interface(lower, level(7, rng), 0.25))
        upper = lower
    patches.append(muscle(between(upper, line_at(200, 0, 0, rng)), rng))
    for _ in range(int(rng.choice([0, 1, 2, 3], p=[0.4, 0.2, 0.25, 0.15]))):
        radius = rng.uniform(1, 5)
        wall = ARTERY_WALL if rng.random() < 0.5 else VEIN_WALL
        place = (rng.uniform(-22, 22), rng.uniform(5, 40))
        soft, edges, _ = vessel(place, (radius, radius * rng.uniform(0.4, 1)), rng.normal(0, 0.5), wall, rng)
        patches, lines = patches + soft, lines + edges
    extra = clutter_organs((-28, float(fascia[0, 1]), 28, 45), rng)
    patches, lines = patches + extra[0], lines + extra[1]
    if rng.random() < 0.6:
        soft, edges = _bone(_shaft(depth, rng), rng)
        patches, lines = patches + soft, lines + edges
    return patches, lines


def _shaft(depth: float, rng: Generator) -> NDArray[np.float64]:
    x = across()
    z = np.full_like(x, depth + rng.uniform(0, 10)) + rng.normal(0, 0.15) * x + rough(x, 0.3, 20, rng)
    if rng.random() < 0.5:
        radius = rng.uniform(6, 30)
        offset = np.clip(np.abs(x - rng.uniform(-12, 12)), 0, radius * 0.99)
        z += radius - np.sqrt(radius**2 - offset**2)
    return np.stack([x, np.maximum(z, 6)], axis=1)


def _bone(line: NDArray[np.float64], rng: Generator) -> Tissue:
    return [bone_below(line, rng)], cortex(rng, line)


def _pennate(body: Body, rng: Generator) -> Tissue:
    """Leg muscle: fascicles between two aponeuroses."""
    patches, lines, fascia = skin_and_fat(body, rng)
    depth = float(fascia[:, 1].mean())
    upper = line_at(depth + rng.uniform(0.5, 3), rng.normal(0, 0.04), 0.2, rng)
    lower = line_at(depth + rng.uniform(12, 28), rng.normal(0, 0.1), 0.4, rng)
    angle = rng.choice([-1, 1]) * rng.uniform(0.15, 0.6)
    patches += [
        muscle(between(upper, lower), rng, angle),
        muscle(between(lower, line_at(200, 0, 0, rng)), rng, -angle * 0.5),
    ]
    lines += [Interface(upper, level(10, rng), 0.3, 0.7), Interface(lower, level(11, rng), 0.3, 0.7)]
    for _ in range(int(rng.integers(4, 16))):
        start = np.array([rng.uniform(-50, 50), rng.uniform(depth, depth + 25)])
        end = start + rng.uniform(8, 25) * np.array([np.cos(angle), np.sin(angle)])
        lines.append(Interface(np.linspace(start, end, 20), level(5, rng), 0.5))
    if rng.random() < 0.3:
        soft, edges = _bone(_shaft(depth + 30, rng), rng)
        patches, lines = patches + soft, lines + edges
    return patches, lines


def _organ(body: Body, rng: Generator) -> Tissue:
    """Abdomen, heart, womb: a large speckled organ, dark chambers, bright walls."""
    patches, lines, fascia = skin_and_fat(body, rng)
    patches.append(Patch(between(fascia, line_at(200, 0, 0, rng)), level(0, rng), 0.5))
    for _ in range(int(rng.integers(1, 7))):
        centre = (rng.uniform(-35, 35), rng.uniform(12, 90))
        radii = (rng.uniform(4, 26), rng.uniform(3, 18))
        outline = ellipse(centre, radii, rng.uniform(-1.5, 1.5), 0.15, rng)
        dark = rng.random() < 0.6
        patches.append(
            Patch(
                outline,
                level(-26 if dark else -3, rng, 4),
                0.15 if dark else 0.6,
                Texture.PLAIN,
                0,
                rng.uniform(0.2, 0.8),
            )
        )
        lines.append(Interface(np.concatenate([outline, outline[:1]]), level(8, rng, 4), 0.3, 0.6))
    return patches, lines


def _infant_hip(body: Body, rng: Generator) -> Tissue:
    """Coronal Graf plane: a round dark head, the straight ilium, labrum and bony roof."""
    patches, lines, fascia = skin_and_fat(body, rng)
    patches.append(muscle(between(fascia, line_at(200, 0, 0, rng)), rng))
    radius = rng.uniform(6, 12)
    centre = (rng.uniform(-5, 8), float(fascia[:, 1].mean()) + radius + rng.uniform(4, 10))
    head = ellipse(centre, (radius, radius * rng.uniform(0.85, 1.1)), 0, 0.05, rng)
    patches.append(Patch(head, level(-12, rng), 0.7, Texture.SPARSE))
    lines.append(Interface(np.concatenate([head, head[:1]]), level(7, rng), 0.1))
    edge = np.array(
        [
            [-45.0, centre[1] - radius * rng.uniform(0.1, 0.6)],
            [centre[0] - radius * 0.6, centre[1] - radius * rng.uniform(-0.1, 0.4)],
        ]
    )
    roof = np.concatenate([edge, [[centre[0] + radius * rng.uniform(-0.2, 0.4), centre[1] + radius * 1.05]]])
    line = np.concatenate([np.linspace(a, b, 40) for a, b in pairwise(roof)])
    lines.append(Interface(line, level(22, rng, 4), 0.4, 0.7, True))
    return patches, lines


def _joint(body: Body, rng: Generator) -> Tissue:
    """Two bones of another joint with a gap, perhaps fluid: knee, shoulder, finger."""
    patches, lines, fascia = skin_and_fat(body, rng)
    depth = float(fascia[:, 1].mean())
    patches.append(muscle(between(fascia, line_at(200, 0, 0, rng)), rng))
    gap = rng.uniform(-8, 8)
    for side in (-1, 1):
        reach = np.linspace(0, 80, 160)
        curve = rng.uniform(6, 40)
        z = depth + rng.uniform(6, 22) - curve * (1 - np.exp(-reach / rng.uniform(8, 30))) * rng.uniform(-0.15, 0.35)
        line = np.stack([gap + side * (reach + rng.uniform(0.5, 4)), z + rough(reach, 0.2, 9, rng)], axis=1)
        soft, edges = _bone(line, rng)
        patches, lines = patches + soft, lines + edges
    if rng.random() < 0.5:
        pouch = ellipse(
            (gap + rng.uniform(-12, 12), depth + rng.uniform(3, 9)),
            (rng.uniform(5, 18), rng.uniform(1, 4)),
            rng.normal(0, 0.2),
            0.15,
            rng,
        )
        patches.insert(-2, Patch(pouch, level(-28, rng), 0.12))
    return patches, lines


def _no_contact(body: Body, rng: Generator) -> Tissue:
    """A probe in air: bright lines at even depths, nothing below; nobody lies under it."""
    del body
    deep = line_at(rng.uniform(1, 4), 0, 0, rng)
    spacing = rng.uniform(1.5, 6)
    lines = [Interface(line_at(k * spacing, 0, 0, rng), 22 - 3.0 * k, 1.0, 0.5) for k in range(1, 7)]
    return [Patch(between(deep, line_at(200, 0, 0, rng)), -45, 6.0)], lines


def other_picture(rng: Generator) -> Picture:
    """A picture that never was an ultrasound scene: menus, traces, noise, photographs, dual panes."""
    height, width = int(rng.integers(180, 640)), int(rng.integers(220, 800))
    kinds = (_menu, _trace, _noise, _blobs, _gradient, _patchwork)
    chosen = int(rng.choice(len(kinds), p=[0.2, 0.14, 0.1, 0.26, 0.1, 0.2]))
    picture = kinds[chosen](height, width, rng)
    if rng.random() < 0.25:
        tint = rng.uniform(0.4, 1.0, 3)
        return np.asarray(picture[..., None] * tint, np.uint8)
    return picture


def _menu(height: int, width: int, rng: Generator) -> Picture:
    picture = np.full((height, width), int(rng.integers(0, 90)), np.uint8)
    for _ in range(int(rng.integers(3, 25))):
        x, y = int(rng.uniform(0, width * 0.9)), int(rng.uniform(0, height))
        if rng.random() < 0.5:
            end = (x + int(rng.uniform(10, width * 0.5)), y + int(rng.uniform(6, height * 0.3)))
            cv2.rectangle(picture, (x, y), end, int(rng.integers(0, 255)), int(rng.choice([-1, 1, 2])))
        else:
            letters = "".join(chr(int(c)) for c in rng.integers(48, 122, int(rng.integers(3, 20))))
            cv2.putText(
                picture,
                letters,
                (x, y),
                cv2.FONT_HERSHEY_SIMPLEX,
                rng.uniform(0.3, 1.2),
                int(rng.integers(120, 255)),
                1,
                cv2.LINE_AA,
            )
    return picture


def _trace(height: int, width: int, rng: Generator) -> Picture:
    """Spectral Doppler or M-mode: columns that repeat along time."""
    x = np.arange(width)
    beat = np.abs(np.sin(2 * np.pi * x / rng.uniform(40, 160) + rng.uniform(0, 6))) ** rng.uniform(1, 6)
    base = rng.uniform(0.4, 0.85) * height
    top = base - beat * rng.uniform(0.2, 0.7) * height
    rows = np.arange(height)[:, None]
    inside = (rows > top) & (rows < base) if rng.random() < 0.6 else np.abs(rows - top) < rng.uniform(2, 12)
    speckle = rng.gamma(2, 30, (height, width))
    layers = 40 * (1 + np.sin(rows / rng.uniform(5, 30) + 2 * beat)) * (rng.random() < 0.5)
    return np.asarray(np.clip(inside * speckle * 2 + layers + speckle * 0.1, 0, 255), np.uint8)


def _noise(height: int, width: int, rng: Generator) -> Picture:
    noise = cv2.GaussianBlur(rng.normal(0, 1, (height, width)).astype(np.float32), (0, 0), rng.uniform(0.3, 3))
    return np.asarray(np.clip(rng.uniform(20, 140) + rng.uniform(10, 60) * noise / noise.std(), 0, 255), np.uint8)


def _blobs(height: int, width: int, rng: Generator) -> Picture:
    """Fractal clouds with random shapes: as much of a photograph as numbers give."""
    total = np.zeros((height, width), np.float32)
    for octave in range(2, 8):
        size = 2**octave
        total += cv2.resize(
            rng.normal(0, 1, (size, size)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
        ) / octave ** rng.uniform(0.5, 2)
    picture = np.clip(rng.uniform(50, 150) + rng.uniform(20, 70) * total / total.std(), 0, 255).astype(np.uint8)
    for _ in range(int(rng.integers(0, 9))):
        centre = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        axes = (int(rng.uniform(4, width / 3)), int(rng.uniform(4, height / 3)))
        cv2.ellipse(
            picture,
            centre,
            axes,
            rng.uniform(0, 180),
            0,
            360,
            int(rng.integers(0, 255)),
            int(rng.choice([-1, 2, 3])),
            cv2.LINE_AA,
        )
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 2)), np.uint8)


def _gradient(height: int, width: int, rng: Generator) -> Picture:
    corners = rng.uniform(0, 255, (2, 2)).astype(np.float32)
    smooth = cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.clip(smooth + rng.normal(0, rng.uniform(0, 12), (height, width)), 0, 255).astype(np.uint8)


def _patchwork(height: int, width: int, rng: Generator) -> Picture:
    """Two panes side by side, a bar, different textures: a split screen."""
    picture = np.zeros((height, width), np.uint8)
    middle = int(rng.uniform(0.3, 0.7) * width)
    for left, right in ((0, middle - 4), (middle + 4, width)):
        pane = (
            _blobs(height, max(right - left, 32), rng)
            if rng.random() < 0.5
            else _noise(height, max(right - left, 32), rng)
        )
        picture[:, left:right] = pane[:, : right - left]
    return picture
