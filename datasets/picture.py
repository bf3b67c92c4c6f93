"""What every reader of pictures shares: the one error, the limits, and grey pictures that came as colour."""

import errno
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from model.frame import MIN_SIDE_PX

MAX_PIXELS: Final = 64_000_000
MAX_FRAMES: Final = 100_000
MAX_TEXT: Final = 300
GREY_TOLERANCE: Final = 8
"""Largest difference between colour channels, in levels, that still counts as grey: JPEG leaves a few."""

_START_OF_FRAME: Final = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_OF_CONTENT: Final = (None, errno.EINVAL, errno.EOVERFLOW, errno.EISDIR)
"""What reading a broken file ends in as well: lengths that lead before its beginning, or beyond all ends."""
_MARKED: Final = (b"JFIF", b"Adobe")


class UnreadableFile(ValueError):  # noqa: N818 - what it is, in the words of those who read it
    """A file that holds no picture we can read; its text says what was expected, what came and what to do."""

    def __init__(self, name: str, problem: str, remedy: str) -> None:
        problem = problem if len(problem) <= MAX_TEXT else f"{problem[:MAX_TEXT]}..."
        super().__init__(f"{name or 'the data'}: {problem}; {remedy}")
        self.name, self.problem, self.remedy = name, problem, remedy


class OutOfReach(UnreadableFile):
    """A file that its disk, share or rights did not give, whatever it holds: another time it may be read."""


def unopened(name: str, error: Exception) -> UnreadableFile:
    """What to raise where the system did not open a file, or stopped reading it."""
    kind = OutOfReach if is_out_of_reach(error) else UnreadableFile
    return kind(name, f"it cannot be opened: {error}", "check the path and its rights")


def is_out_of_reach(error: Exception) -> bool:
    """Whether the system says that a file is not to be had now. Decoders raise OSError too, without a number."""
    return isinstance(error, OSError) and error.errno not in _OF_CONTENT


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


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """What a JPEG says before its pixels. `is_marked`: it names its colour model."""

    width: int
    height: int
    is_marked: bool
    is_subsampled: bool


def jpeg_header(data: bytes) -> JpegHeader | None:
    """The header of a JPEG without decoding it, None where its start of frame is missing or lies past the data."""
    at, is_marked = 2, False
    while at + 9 < len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4])
        if marker in _START_OF_FRAME:
            height, width = (int.from_bytes(data[at + k : at + k + 2]) for k in (5, 7))
            sampling = {data[at + 11 + 3 * k] for k in range(data[at + 9]) if at + 11 + 3 * k < len(data)}
            return JpegHeader(width, height, is_marked, len(sampling) > 1)
        is_marked |= marker in (0xE0, 0xEE) and data[at + 4 : at + 16].startswith(_MARKED)
        is_alone = marker in (0x01, 0xFF) or 0xD0 <= marker <= 0xD8
        at += (1 if marker == 0xFF else 2) if is_alone else 2 + length
    return None


def grey_if_colourless(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The grey picture (H, W) where all channels agree within GREY_TOLERANCE, else the RGB picture as it came."""
    if _is_coloured(rgb[::8, ::8]) or _is_coloured(rgb):
        return rgb
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def _is_coloured(rgb: NDArray[np.uint8]) -> bool:
    red, green, blue = cv2.split(np.ascontiguousarray(rgb))
    return max(cv2.norm(red, green, cv2.NORM_INF), cv2.norm(blue, green, cv2.NORM_INF)) > GREY_TOLERANCE
