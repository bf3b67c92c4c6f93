"""Colour flow picked out of a picture, and how much of it lies within the recess."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from model.findings import FoundStructure
from model.frame import Frame
from model.preprocess import Box

_MIN_CHROMA: Final = 40
_MIN_SHARE_OF_SECTOR: Final = 5e-4
_SPOT_SHARE: Final = 0.005
_CONFLUENT_SHARE: Final = 0.03


@dataclass(frozen=True, slots=True)
class Flow:
    """Flow within the recess: colour fraction 0..1 of its area, and how many spots are single or confluent."""

    fraction: float
    single_spots: int
    confluent_spots: int


def has_colour_flow(frame: Frame, sector: Box) -> bool:
    """Whether the sector shows colour at all (a box or flow): without it Doppler grades are absent, not 0."""
    if frame.colour is None:
        return False
    x0, y0, x1, y1 = sector
    return float(_coloured(frame.colour[y0 : y1 + 1, x0 : x1 + 1]).mean()) >= _MIN_SHARE_OF_SECTOR


def measure_flow(frame: Frame, recess: FoundStructure) -> Flow:
    """Flow inside the recess's outline; colour outside it does not count. Needs a colour frame."""
    if frame.colour is None:
        raise ValueError("a grey frame has no colour flow to measure: ask has_colour_flow first")
    outline = [np.round(part).astype(np.int32) for part in recess.contours]
    x, y, width, height = cv2.boundingRect(np.concatenate(outline))
    left, top = int(np.clip(x, 0, frame.width - 1)), int(np.clip(y, 0, frame.height - 1))
    seen = frame.colour[top : max(y + height, top + 1), left : max(x + width, left + 1)]
    inside = np.zeros(seen.shape[:2], np.uint8)
    cv2.fillPoly(inside, outline, 1, offset=(-left, -top))
    flow = _coloured(seen) & inside
    recess_px = max(int(inside.sum()), 1)
    count, _, stats, _ = cv2.connectedComponentsWithStats(flow)
    areas = stats[1:count, cv2.CC_STAT_AREA] / recess_px
    confluent = int((areas >= _CONFLUENT_SHARE).sum())
    single = int(((areas >= _SPOT_SHARE) & (areas < _CONFLUENT_SHARE)).sum())
    return Flow(float(areas[areas >= _SPOT_SHARE].sum()), single, confluent)


def _coloured(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    # numpy's reduction over the last, short axis takes twenty times as long.
    red, green, blue = cv2.split(rgb)
    spread = cv2.subtract(cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue))
    return np.asarray(spread >= _MIN_CHROMA, dtype=np.uint8)
