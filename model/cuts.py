"""How alike two pictures of a cine are: whether they show the same tissue, or another hip under the same scanner.

Hips under one probe and setting share their sector, shading and layers, and correlate as pictures do that follow one
another. What tells them apart is the texture at a few millimetres: there tissue that moves stays like itself, tile by
tile, wherever it has gone to within reach.
"""

from statistics import median
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from model.preprocess import Look

_SIDE_PX: Final = 48
_TILE_PX: Final = 12
_REACH_PX: Final = 4
"""How far a tile is looked for: a twelfth of the picture's side, some 4 mm of a hip from one picture to the next."""
_AROUND_PX: Final = 9
_CONTRAST_PX: Final = 17
_FLOOR: Final = 2.0
"""Grey levels: what is no brighter is no picture, and a contrast of less is not made more of."""
_FILLED: Final = 0.6

Texture = NDArray[np.float32]


def likeness(before: Look, now: Look) -> float:
    """-1..1: the median over tiles of how well each is found again near its place. 1 for two empty pictures."""
    old, new = _texture(before.picture), _texture(_placed_as(now, before))
    edge = cv2.copyMakeBorder(new, *4 * (_REACH_PX,), cv2.BORDER_CONSTANT)
    corners = [(y, x) for y in range(0, _SIDE_PX, _TILE_PX) for x in range(0, _SIDE_PX, _TILE_PX)]
    found = []
    for y, x in corners:
        tile, same = (one[y : y + _TILE_PX, x : x + _TILE_PX] for one in (old, new))
        if _is_filled(tile):
            near = edge[y : y + _TILE_PX + 2 * _REACH_PX, x : x + _TILE_PX + 2 * _REACH_PX]
            found.append(cv2.minMaxLoc(cv2.matchTemplate(near, tile, cv2.TM_CCOEFF_NORMED))[1])
        elif _is_filled(same):
            found.append(0.0)
    return median(found) if found else 1.0


def _placed_as(look: Look, other: Look) -> NDArray[np.uint8]:
    """The picture as it would be at the other's place: a sector found a little larger moves no tissue."""
    if look.placement == other.placement:
        return look.picture
    corners = np.array([[0, 0], [1000, 0], [0, 1000]])
    ends = (one.placement.to_network(corners).astype(np.float32) for one in (look, other))
    height, width = look.picture.shape
    return np.asarray(cv2.warpAffine(look.picture, cv2.getAffineTransform(*ends), (width, height)), np.uint8)


def _texture(picture: NDArray[np.uint8]) -> Texture:
    """What differs from its surroundings, as a share of the contrast there, so that gain and shading matter little."""
    grey = cv2.resize(picture, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA).astype(np.float32)
    inside = (grey > _FLOOR).astype(np.float32)
    around = cv2.blur(grey, (_AROUND_PX, _AROUND_PX)) / np.maximum(cv2.blur(inside, (_AROUND_PX, _AROUND_PX)), 0.05)
    differs = (grey - around) * inside
    power = cv2.blur(differs * differs, (_CONTRAST_PX, _CONTRAST_PX))
    return np.asarray(differs / np.sqrt(power + _FLOOR**2), np.float32)


def _is_filled(tile: Texture) -> bool:
    return cv2.countNonZero(tile) >= _FILLED * tile.size
