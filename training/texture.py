"""Foreign texture laid over a phantom, its labels unmoved: what a picture looks like must not tell what it shows.

A veil mixes in a frame of the extra sets (mixup, Zhang et al. 2018, but the labels stay the phantom's): without it,
real texture is only ever seen on frames without a hip. Bending passes the picture through a small random convolutional
network (GIN, Ouyang et al. 2023, "Causality-inspired single-source domain generalization"), brighter staying brighter.
Fading fills a structure with the tissue beside it, its label kept: where it lies must tell it when its grey does not.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from model.anatomy import STRUCTURES, Tissue

Picture = NDArray[np.uint8]
Grey = NDArray[np.float32]

_LAYERS, _CHANNELS = 4, 2
_SOFT_IDS: Final = tuple(one.id for one in STRUCTURES if one.tissue is not Tissue.BONE)


@dataclass(frozen=True, slots=True)
class Cover:
    """What is laid over one picture. `veil` and `bend` are shares, 0 for none; `seed` draws all else.

    `fine_px` above 0 takes only what of the veil is finer than that.
    """

    veil: float
    fine_px: float
    bend: float
    seed: int


def draw_cover(veil_share: float, bend_share: float, rng: Generator) -> Cover:
    """A random cover; the shares say how often each kind comes."""
    fine = rng.random() < 0.4
    veil = rng.uniform(0.4, 1.0) if fine else rng.uniform(0.08, 0.4)
    return Cover(
        veil=float(veil * (rng.random() < veil_share)),
        fine_px=float(rng.uniform(2, 6)) if fine else 0.0,
        bend=float(rng.uniform(0.2, 0.9) * (rng.random() < bend_share)),
        seed=int(rng.integers(2**31)),
    )


def covered(picture: Picture, over: Picture | None, cover: Cover) -> Picture:
    """The picture (H, W) with a frame of the same size laid over it, and bent; what is black in it stays black."""
    if not cover.bend and (over is None or not cover.veil):
        return picture
    rng = np.random.default_rng(cover.seed)
    grey = picture.astype(np.float32)
    if over is not None and cover.veil:
        grey = _veiled(grey, _moved(over, rng), cover)
    if cover.bend:
        grey = _bent(grey, picture > 0, cover.bend, rng)
    return np.where(picture > 0, np.clip(grey, 1, 255), 0).astype(np.uint8)


def faded(picture: Picture, mask: Picture, rng: Generator) -> Picture:
    """The picture with one of its soft structures partly filled with what lies beside it; (H, W) like the mask."""
    there = [k for k in _SOFT_IDS if (mask == k).any()]
    if not there:
        return picture
    inside = (mask == rng.choice(there)).astype(np.uint8)
    _, _, width, height = cv2.boundingRect(inside)
    move = np.array([[1, 0, rng.choice([-1, 1]) * rng.uniform(1.0, 1.6) * width], [0, 1, rng.normal(0, 0.3) * height]])
    beside, taken = (
        cv2.warpAffine(plane, move, plane.shape[::-1], flags=cv2.INTER_NEAREST) for plane in (picture, mask)
    )
    filled = (inside * (beside > 0) * (taken == 0)).astype(np.float32)
    share = rng.uniform(0.3, 0.9) * cv2.GaussianBlur(filled, (0, 0), 1.0)
    return np.asarray((1 - share) * picture + share * beside, np.uint8)


def _veiled(grey: Grey, over: Grey, cover: Cover) -> Grey:
    if cover.fine_px:
        return np.asarray(grey + cover.veil * (over - cv2.GaussianBlur(over, (0, 0), cover.fine_px)), np.float32)
    return (1 - cover.veil) * grey + cover.veil * over


def _moved(over: Picture, rng: Generator) -> Grey:
    """Mirrored or not, enlarged about a random place: a veil tells nothing by where it lies."""
    height, width = over.shape
    scale = rng.uniform(1.0, 1.8)
    flip = rng.choice([-1.0, 1.0])
    move = np.array(
        [
            [flip * scale, 0, (width - 1) * ((flip < 0) * scale - flip * (scale - 1) * rng.random())],
            [0, scale, -(height - 1) * (scale - 1) * rng.random()],
        ]
    )
    return np.asarray(cv2.warpAffine(over, move, (width, height)), np.float32)


def _bent(grey: Grey, lit: NDArray[np.bool_], share: float, rng: Generator) -> Grey:
    """A share of the picture replaced by what a random network makes of it, at the same mean and spread."""
    if not lit.any():
        return grey
    maps: list[Grey] = [grey / np.float32(255)]
    for layer in range(_LAYERS):
        outputs = 1 if layer == _LAYERS - 1 else _CHANNELS
        maps = [_mixed(maps, rng, last=outputs == 1) for _ in range(outputs)]
    drawn = maps[0] - maps[0][lit].mean()
    centred = grey - grey[lit].mean()
    sign = np.sign((drawn * centred)[lit].mean()) or 1.0
    drawn = drawn * sign * grey[lit].std() / max(float(drawn[lit].std()), 1e-6)
    return np.asarray(grey + share * (drawn - centred), np.float32)


def _mixed(maps: list[Grey], rng: Generator, *, last: bool) -> Grey:
    side = int(rng.choice([1, 3]))
    total = sum((cv2.filter2D(one, -1, rng.standard_normal((side, side))) for one in maps), rng.standard_normal())
    return np.asarray(total if last else np.where(total > 0, total, 0.2 * total), np.float32)
