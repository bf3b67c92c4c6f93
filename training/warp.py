"""Anatomy bent smoothly: structures of shapes that no generator drew, each still where it lies among the others."""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from model.geometry import Points

Picture = NDArray[np.uint8]

_KNOTS: Final = 5
_SPREAD: Final = (0.006, 0.03)
"""SD of how far a knot moves, as a share of the picture's side: knots lie a fifth of it apart, so nothing folds."""
_ROUNDS: Final = 12


@dataclass(frozen=True, slots=True, eq=False)
class Warp:
    """`taken_from` (S, S, 2) float32: the place (x, y) in the old picture that each pixel of the new one shows."""

    taken_from: NDArray[np.float32]


def draw_warp(size_px: int, rng: Generator) -> Warp:
    """A random smooth warp of a square picture, by cubic interpolation between knots that move."""
    knots = rng.normal(0, rng.uniform(*_SPREAD) * size_px, (_KNOTS, _KNOTS, 2)).astype(np.float32)
    moved = np.asarray(cv2.resize(knots, (size_px, size_px), interpolation=cv2.INTER_CUBIC), np.float32)
    rows, columns = np.mgrid[:size_px, :size_px].astype(np.float32)
    return Warp(moved + np.stack([columns, rows], axis=2))


def warp_image(one: Warp, picture: Picture) -> Picture:
    """The warped picture, (S, S) uint8."""
    return _at(one.taken_from, picture, cv2.INTER_LINEAR)


def warp_mask(one: Warp, mask: Picture) -> Picture:
    """The warped mask, (S, S) uint8 ids."""
    return _at(one.taken_from, mask, cv2.INTER_NEAREST)


def warp_points(one: Warp, points_xy: Points) -> Points:
    """Where points (N, 2) come to lie, by fixed-point iteration: the warp itself says where pixels come from."""
    sought = points_xy.copy()
    for _ in range(_ROUNDS):
        places = np.nan_to_num(sought, nan=-1.0).astype(np.float32)[:, None]
        come = _at(places, one.taken_from, cv2.INTER_LINEAR, cv2.BORDER_REPLICATE)[:, 0]
        sought = sought + (points_xy - come)
    return sought


def _at(places: NDArray[np.float32], maps: NDArray[Any], how: int, beyond: int = cv2.BORDER_CONSTANT) -> NDArray[Any]:
    """What `maps` holds at places (H, W, 2) as x and y, of the type it holds."""
    return np.asarray(cv2.remap(maps, places[..., 0], places[..., 1], how, borderMode=beyond))
