"""What every reader of pictures shares: the one error, the limits, and grey pictures that came as colour."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from model.frame import MIN_SIDE_PX

MAX_PIXELS: Final = 64_000_000
MAX_FRAMES: Final = 100_000
GREY_TOLERANCE: Final = 8
"""Largest difference between colour channels, in levels, that still counts as grey: JPEG leaves a few."""


class UnreadableFile(ValueError):  # noqa: N818 - what it is, in the words of those who read it
    """A file that holds no picture we can read; its text says what was expected, what came and what to do."""

    def __init__(self, name: str, problem: str, remedy: str) -> None:
        super().__init__(f"{name or 'the data'}: {problem}; {remedy}")
        self.name, self.problem, self.remedy = name, problem, remedy


def check_size(name: str, width: int, height: int, frames: int = 1) -> None:
    """Raises UnreadableFile for a picture that is too small or too large to be decoded."""
    if width < MIN_SIDE_PX or height < MIN_SIDE_PX:
        problem = f"a picture of at least {MIN_SIDE_PX} pixels a side was expected, got {width} x {height}"
        raise UnreadableFile(name, problem, "give the scanner's own picture, not a thumbnail")
    if width * height > MAX_PIXELS or not 1 <= frames <= MAX_FRAMES:
        problem = (
            f"1 to {MAX_FRAMES} frames of at most {MAX_PIXELS} pixels were expected, got {frames} of {width} x {height}"
        )
        raise UnreadableFile(name, problem, "check that the file is whole, or cut it into parts")


def grey_if_colourless(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The grey picture (H, W) where all channels agree within GREY_TOLERANCE, else the RGB picture as it came."""
    if _is_coloured(rgb[::8, ::8]) or _is_coloured(rgb):
        return rgb
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def _is_coloured(rgb: NDArray[np.uint8]) -> bool:
    red, green, blue = cv2.split(np.ascontiguousarray(rgb))
    return max(cv2.norm(red, green, cv2.NORM_INF), cv2.norm(blue, green, cv2.NORM_INF)) > GREY_TOLERANCE
