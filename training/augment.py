"""Draw, then apply: one Draw moves image, mask and points alike and disturbs the picture's greys."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from model.geometry import Points

Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Bow:
    """How a capsule bows over its chord: the chord (x, y) in pixels, its sagitta as a share of the chord's length."""

    chord_xy: tuple[float, float]
    ratio: float


@dataclass(frozen=True, slots=True)
class Draw:
    """One augmentation. `affine` is 2 x 3 in pixels; `curve` a monotone grey map; the rest disturb the greys.

    `gain` are factors at even steps down the picture, as wrong time gain; `equalise` is the clip limit of a local
    histogram equalisation, 0 for none.
    """

    affine: tuple[tuple[float, float, float], tuple[float, float, float]]
    curve: tuple[float, ...]
    gain: tuple[float, ...]
    equalise: float
    blur_px: float
    noise: float
    speckle: float
    shadow: tuple[float, float, float]
    jpeg_quality: int
    seed: int


def draw(size_px: int, rng: Generator) -> Draw:
    """A random augmentation for a square picture."""
    return Draw(
        affine=_affine(size_px, rng),
        curve=_curve(rng),
        gain=tuple(float(v) for v in np.exp(rng.normal(0, rng.choice([0.0, 0.15, 0.3]), 5))),
        equalise=float(rng.choice([0.0, rng.uniform(1, 4)], p=[0.85, 0.15])),
        blur_px=float(rng.choice([0.0, rng.uniform(0.3, 1.3)], p=[0.7, 0.3])),
        noise=float(rng.choice([0.0, rng.uniform(2, 14)], p=[0.6, 0.4])),
        speckle=float(rng.choice([0.0, rng.uniform(0.05, 0.35)], p=[0.6, 0.4])),
        shadow=(
            float(rng.uniform(0, 1)),
            float(rng.uniform(0.02, 0.1)),
            float(rng.choice([0.0, rng.uniform(0.3, 0.9)], p=[0.85, 0.15])),
        ),
        jpeg_quality=int(rng.choice([0, int(rng.integers(30, 90))], p=[0.8, 0.2])),
        seed=int(rng.integers(2**31)),
    )


def unchanged(size_px: int) -> Draw:
    """The draw that changes nothing."""
    del size_px
    return Draw(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)), (0.0, 1.0), (1.0, 1.0), 0.0, 0.0, 0.0, 0.0, (0.5, 0.05, 0.0), 0, 0)


def apply_to_image(one: Draw, picture: Picture) -> Picture:
    """The moved and disturbed picture, (H, W) uint8."""
    height, width = picture.shape
    moved = cv2.warpAffine(picture, np.array(one.affine), (width, height), flags=cv2.INTER_LINEAR)
    lit = moved > 0
    level = np.interp(np.arange(256) / 255, np.linspace(0, 1, len(one.curve)), one.curve)
    bent = cv2.LUT(moved, (255 * level).astype(np.uint8))
    if one.equalise:
        bent = cv2.createCLAHE(one.equalise, (6, 6)).apply(bent)
    down = np.interp(np.linspace(0, 1, height), np.linspace(0, 1, len(one.gain)), one.gain).astype(np.float32)
    grey = np.asarray(bent, np.float32) * down[:, None]
    rng = np.random.default_rng(one.seed)
    if one.speckle:
        grey *= 1 + one.speckle * rng.standard_normal(grey.shape, dtype=np.float32)
    if one.noise:
        grey += one.noise * rng.standard_normal(grey.shape, dtype=np.float32)
    if one.shadow[2]:
        across = np.exp(-(((np.linspace(0, 1, width) - one.shadow[0]) / one.shadow[1]) ** 4)).astype(np.float32)
        grey *= 1 - one.shadow[2] * across
    if one.blur_px:
        grey = np.asarray(cv2.GaussianBlur(grey, (0, 0), one.blur_px), np.float32)
    out = np.where(lit, np.clip(grey, 1, 255), 0).astype(np.uint8)
    if one.jpeg_quality:
        _, data = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, one.jpeg_quality])
        out = np.where(lit, np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8), np.uint8(0))
    return out


def apply_to_mask(one: Draw, mask: Picture) -> Picture:
    """The moved mask, (H, W) uint8 ids."""
    height, width = mask.shape
    return np.asarray(cv2.warpAffine(mask, np.array(one.affine), (width, height), flags=cv2.INTER_NEAREST), np.uint8)


def apply_to_points(one: Draw, points_xy: Points, size_px: int) -> Points:
    """The moved points (N, 2); NaN where one leaves the picture, or was absent."""
    affine = np.array(one.affine)
    moved: Points = points_xy @ affine[:, :2].T + affine[:, 2]
    outside = ~((moved >= 0) & (moved <= size_px - 1)).all(axis=1)
    moved[outside] = np.nan
    return moved


def apply_to_bow(one: Draw, bow: Bow) -> Bow:
    """The moved capsule's bow: areas grow by the determinant, the chord as it lies."""
    linear = np.array(one.affine)[:, :2]
    chord, moved = np.array(bow.chord_xy), linear @ bow.chord_xy
    ratio = bow.ratio * abs(np.linalg.det(linear)) * (chord @ chord) / (moved @ moved)
    return Bow((float(moved[0]), float(moved[1])), float(ratio))


def _affine(size_px: int, rng: Generator) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    centre = (size_px - 1) / 2
    turn, scale = np.radians(rng.normal(0, 8)), np.exp(rng.normal(0, 0.18))
    stretch = np.exp(rng.normal(0, 0.1))
    flip = -1.0 if rng.random() < 0.5 else 1.0
    shift_x, shift_y = rng.normal(0, 0.05, 2) * size_px
    # Shear tilts what lies across the picture and leaves the beams upright, as a probe that leans on one end does.
    lean = np.array([[1.0, 0.0], [rng.normal(0, 0.12), 1.0]])
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    linear = turned @ lean @ np.diag([flip * scale * stretch, scale / stretch])
    offset = centre + np.array([shift_x, shift_y]) - linear @ np.array([centre, centre])
    rows = np.concatenate([linear, offset[:, None]], axis=1)
    return (float(rows[0, 0]), float(rows[0, 1]), float(rows[0, 2])), (
        float(rows[1, 0]),
        float(rows[1, 1]),
        float(rows[1, 2]),
    )


def _curve(rng: Generator) -> tuple[float, ...]:
    if rng.random() < 0.25:
        return (0.0, 1.0)
    steps = rng.dirichlet(np.full(6, rng.uniform(1.5, 8)))
    bent = np.concatenate([[0.0], np.cumsum(steps)])
    top, lift = rng.uniform(0.6, 1.0), rng.uniform(0, 0.08)
    gamma = np.exp(rng.normal(0, 0.25))
    return tuple(float(v) for v in lift + (top - lift) * bent**gamma)
