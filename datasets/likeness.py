"""Look-alike frames: the same picture saved twice, cropped a little, or a neighbour in a cine that lost its name.

Two steps, because one is either slow or crude: a perceptual hash finds candidates, and a correlation of small pictures
without their coarse shading, over a shift of a few pixels, decides. Measured when this was chosen: near-duplicates of
real scans lie at 38 to 76 of 256 bits and correlate at 0.84 or more; of a million pairs of distinct phantoms, 347 are
candidates and one of them correlates above the threshold.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

CANDIDATE_BITS: Final = 84
"""Hamming distance, of 256 bits, up to which two frames are looked at more closely."""
SAME_CORRELATION: Final = 0.82

_HASH_SIDE, _HASH_PICTURE = 16, 64
_THUMB, _SHADING, _SHIFT = 32, 4.0, 4
_EMPTY_LEVELS: Final = 2.0
_BLOCK: Final = 512


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """What is compared of a frame: `bits` uint64 (4,), the hash; `thumb` float32 (32, 32), shading removed."""

    bits: NDArray[np.uint64]
    thumb: NDArray[np.float32]


def likeness(grey: NDArray[np.uint8]) -> Likeness:
    """The likeness of a grey picture (H, W) of any size."""
    small = cv2.resize(grey, (_HASH_PICTURE, _HASH_PICTURE), interpolation=cv2.INTER_AREA)
    # The first row and column are left out: brightness and shading, alike in all scans.
    waves = cv2.dct(small.astype(np.float32))[1 : _HASH_SIDE + 1, 1 : _HASH_SIDE + 1]
    bits = np.packbits(waves > np.median(waves)).view(np.uint64)
    thumb = cv2.resize(grey, (_THUMB, _THUMB), interpolation=cv2.INTER_AREA).astype(np.float32)
    return Likeness(bits, np.asarray(thumb - cv2.GaussianBlur(thumb, (0, 0), _SHADING), dtype=np.float32))


def look_alikes(frames: tuple[Likeness, ...]) -> tuple[tuple[int, int], ...]:
    """The pairs (i, j), i < j, of frames that show the same picture."""
    return tuple((i, j) for i, j in _candidates(frames) if _correlation(frames[i], frames[j]) >= SAME_CORRELATION)


def _candidates(frames: tuple[Likeness, ...]) -> Iterator[tuple[int, int]]:
    bits = np.array([frame.bits for frame in frames], dtype=np.uint64).reshape(-1, 4)
    for start in range(0, len(bits), _BLOCK):
        block = bits[start : start + _BLOCK]
        distance = np.zeros((len(block), len(bits) - start), dtype=np.uint16)
        for word in range(bits.shape[1]):
            distance += np.bitwise_count(block[:, None, word] ^ bits[None, start:, word])
        for i, j in np.argwhere(distance <= CANDIDATE_BITS):
            if i < j:
                yield start + int(i), start + int(j)


def _correlation(one: Likeness, other: Likeness) -> float:
    """Of the middle of either in the other, whichever is more: which frame comes first says nothing."""
    return max(_found_in(one, other), _found_in(other, one))


def _found_in(one: Likeness, other: Likeness) -> float:
    inner = np.ascontiguousarray(other.thumb[_SHIFT:-_SHIFT, _SHIFT:-_SHIFT])
    if np.ptp(inner) < _EMPTY_LEVELS or np.ptp(one.thumb) < _EMPTY_LEVELS:
        return 0.0  # empty pictures are all alike, yet nothing can be learnt from one about another
    return float(cv2.matchTemplate(one.thumb, inner, cv2.TM_CCOEFF_NORMED).max())
