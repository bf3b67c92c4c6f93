"""Where a label goes: near its point, off anatomy and other labels, and where it was a frame ago if that still does.

The page places its own the same way (web/labels.js).
"""

from dataclasses import dataclass
from itertools import product
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from model.geometry import Points

Box = tuple[float, float, float, float]
"""(x0, y0, x1, y1) in frame pixels."""
Places = dict[str, int]
"""Which of the choices each label of the frame before took, by its key."""

_REACHES: Final = (1.1, 2.2, 3.6, 5.5, 8.0, 11.0)  # in letter heights
_TURNS: Final = np.deg2rad([-45, 45, -135, 135, 0, 180, -90, 90])
_CHOICES: Final = np.array([(reach, turn) for reach, turn in product(_REACHES, _TURNS)])
_EFFORT: Final = np.add.outer(0.12 * np.arange(len(_REACHES)), 0.02 * np.arange(len(_TURNS))).ravel()
_STAYS: Final = 0.25
"""How much less another place must cost before a label moves there."""
_HARD: Final = 10.0
"""Words over words are worse than words over anatomy."""
_WORD: Final = 6.0
"""Letter heights: covering as much as a short word covers costs 1, whatever the label's own length."""
_MARGIN_PX: Final = 3
_CELLS: Final = 512


@dataclass(frozen=True, slots=True)
class Place:
    """A label's box, and whether it is so far from its point that a line must lead there."""

    box: Box
    far: bool


class Room:
    """What of a picture is taken: outlines on a grid of at most 512 cells a side, and boxes."""

    def __init__(self, width: int, height: int, outlines: list[Points], before: Places) -> None:
        self._size = np.array([width, height], np.float64)
        self._cell = max(width, height, _CELLS) / _CELLS
        columns, rows = (int(np.ceil(side / self._cell)) for side in (width, height))
        grid = np.zeros((rows, columns), np.uint8)
        cv2.fillPoly(grid, [np.round(part / self._cell).astype(np.int32) for part in outlines], 1)
        self._sums = cv2.integral(grid)
        self._boxes: list[Box] = []
        self._weights: list[float] = []
        self._before = before

    def take(self, box: Box, *, words: bool = False) -> None:
        """Keeps labels off the box, the more where it holds words."""
        self._boxes.append(box)
        self._weights.append(_HARD if words else 1.0)

    def place(self, key: str, at: tuple[float, float], size: tuple[float, float]) -> Place:
        """The best place for a label of `size` (width, height) at a point, which is then taken; `key` names it."""
        boxes = self._choices(at, size)
        cost = self._covered(boxes) / (_WORD * size[1] ** 2) + _EFFORT
        if key in self._before:
            cost[self._before[key]] -= _STAYS
        choice = int(np.argmin(cost))
        self._before[key] = choice
        x0, y0, x1, y1 = boxes[choice].tolist()
        self.take((x0, y0, x1, y1), words=True)
        return Place((x0, y0, x1, y1), choice >= len(_TURNS))

    def _choices(self, at: tuple[float, float], size: tuple[float, float]) -> NDArray[np.float64]:
        wide, tall = size
        reach, turn = _CHOICES[:, 0] * tall, _CHOICES[:, 1]
        aside = np.cos(turn) * (reach + np.abs(np.cos(turn)) * wide / 2)
        corner = np.stack([at[0] + aside - wide / 2, at[1] + np.sin(turn) * reach - tall / 2], axis=1)
        last = np.maximum(self._size - size - _MARGIN_PX, _MARGIN_PX)
        corner = np.clip(corner, _MARGIN_PX, last)
        return np.concatenate([corner, corner + size], axis=1)

    def _covered(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """How much of what is taken each box (N, 4) covers, in px2, words counted several times."""
        rows, columns = (side - 1 for side in self._sums.shape)
        cells = np.rint(boxes / self._cell).astype(np.intp)
        x0, x1 = np.clip(cells[:, [0, 2]].T, 0, columns)
        y0, y1 = np.clip(cells[:, [1, 3]].T, 0, rows)
        outlined = self._sums[y1, x1] - self._sums[y0, x1] - self._sums[y1, x0] + self._sums[y0, x0]
        covered = outlined * self._cell**2
        if self._boxes:
            other = np.array(self._boxes)
            sides = np.minimum(boxes[:, None, 2:], other[:, 2:]) - np.maximum(boxes[:, None, :2], other[:, :2])
            covered = covered + np.maximum(sides, 0).prod(axis=2) @ self._weights
        return np.asarray(covered)
