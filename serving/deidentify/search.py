"""Text that is left in a cine, for a person to look at.

A search that finds nothing proves nothing: of words planted 8 pixels high it finds seven in ten, of those 10 to 16
high nine in ten (docs/deidentify.md). It points, it does not vouch.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from serving.deidentify.pixels import Box

_BLOCK: Final = 16
"""Frames of which the darkest of every pixel is searched: what moves fades there, what is written over them stays."""
_BOX_SCORE: Final = 0.3
_TALLEST_SHARE: Final = 0.12
"""Of the picture's height: what is taller is tissue, not a line of text."""


@dataclass(frozen=True, slots=True)
class Found:
    """A place that looks like text, what may stand there, the frame, and whether the original's header says so too."""

    box: Box
    text: str
    frame: int
    is_named: bool


class TextSearch:
    """A text detector and reader (PP-OCR through RapidOCR, Apache-2.0), one thread.

    Raises ModuleNotFoundError without the extra `deidentify`.
    """

    def __init__(self) -> None:
        from rapidocr import RapidOCR

        logging.getLogger("RapidOCR").setLevel(logging.ERROR)
        self._engine: Any = RapidOCR(
            params={
                "Global.log_level": "error",
                "Global.text_score": 0.0,
                "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                "Det.thresh": 0.3,
                "Det.box_thresh": _BOX_SCORE,
            }
        )

    def search(self, frames: Sequence[NDArray[np.uint8]], words: frozenset[str]) -> tuple[Found, ...]:
        """Places in frames (H, W) or (H, W, 3) that look like text; `words` are those of the original's header."""
        found: dict[Box, Found] = {}
        for index, picture in _searched(frames):
            for box, text in self._read(picture):
                found.setdefault(box, Found(box, text, index, names(text, words)))
        return tuple(sorted(found.values(), key=lambda one: (not one.is_named, one.frame, one.box)))

    def _read(self, picture: NDArray[np.uint8]) -> Iterator[tuple[Box, str]]:
        colour = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR if picture.ndim == 2 else cv2.COLOR_RGB2BGR)
        told = self._engine(colour, use_det=True, use_cls=False, use_rec=True)
        if told.boxes is None:
            return
        for corners, text in zip(told.boxes, told.txts, strict=True):
            x, y, width, height = cv2.boundingRect(np.asarray(corners, np.float32))
            if min(width, height) <= _TALLEST_SHARE * picture.shape[0]:
                yield (x, y, x + width - 1, y + height - 1), str(text)


def names(text: str, words: frozenset[str]) -> bool:
    """Whether a text in the picture says what the original's header says of someone."""
    told = re.sub(r"[\W_]+", "", text.lower())
    alike = {re.sub(r"[\W_]+", "", word) for word in words}
    return any(len(word) > 2 and (word in told or (len(told) > 3 and told in word)) for word in alike)


def _searched(frames: Sequence[NDArray[np.uint8]]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Of each block the first frame, and the darkest of every pixel where it has several."""
    for start in range(0, len(frames), _BLOCK):
        block = frames[start : start + _BLOCK]
        yield start, block[0]
        if len(block) > 1:
            yield start, np.minimum.reduce(list(block))
