"""PNG files: frames as grey or RGB, masks as 8-bit palette pictures whose pixel values are structure ids."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from datasets.sample import VESSEL_ID
from model.anatomy import STRUCTURES

PNG_MAGIC: Final = b"\x89PNG\r\n\x1a\n"
VESSEL_COLOUR: Final = (255, 0, 255)

_GREY, _PALETTE = 0, 3
_GREY_STEP: Final = {1: 255, 2: 85, 4: 17, 8: 1}
_FAST = (cv2.IMWRITE_PNG_COMPRESSION, 2)


def encode_frame(pixels: NDArray[np.uint8]) -> bytes:
    """A lossless PNG of a grey (H, W) or RGB (H, W, 3) picture."""
    picture = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", picture, _FAST)[1].tobytes()


def decode_frame(data: bytes) -> NDArray[np.uint8]:
    """The grey (H, W) or RGB (H, W, 3) picture of an 8-bit PNG. Raises ValueError for anything else."""
    picture = _decode(data)
    if picture.ndim == 2:
        return picture
    if picture.shape[2] != 3:
        raise ValueError(f"a stored frame is grey or RGB, got {picture.shape[2]} channels")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def encode_mask(mask: NDArray[np.uint8]) -> bytes:
    """A palette PNG in the colours of the anatomy; `mask` is (H, W) of structure ids."""
    grey = cv2.imencode(".png", np.ascontiguousarray(mask), _FAST)[1].tobytes()
    body = b"".join(_chunk(kind, data) for kind, data in _chunks(grey) if kind in (b"IDAT", b"IEND"))
    width, height = mask.shape[1], mask.shape[0]
    header = struct.pack(">IIBBBBB", width, height, 8, _PALETTE, 0, 0, 0)
    return PNG_MAGIC + _chunk(b"IHDR", header) + _chunk(b"PLTE", _palette()) + body


def decode_mask(data: bytes) -> NDArray[np.uint8]:
    """The ids (H, W) of a palette or grey PNG, as stored: the palette's colours are not looked at.

    Raises ValueError where the picture is neither.
    """
    header = png_header(data)
    if header.colour_type not in (_PALETTE, _GREY) or header.depth not in _GREY_STEP:
        raise ValueError(f"a mask is a palette or grey PNG of at most 8 bits, got {header}")
    # OpenCV turns palettes into colours; told that the indices are grey levels, it hands them over as they are.
    as_grey = PNG_MAGIC + b"".join(
        _chunk(kind, body[:9] + b"\0" + body[10:] if kind == b"IHDR" else body)
        for kind, body in _chunks(data)
        if kind in (b"IHDR", b"IDAT", b"IEND")
    )
    return np.asarray(_decode(as_grey) // _GREY_STEP[header.depth], dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class PngHeader:
    """What a PNG says of itself before its pixels; `colour_type` is the standard's number (3 is a palette)."""

    width: int
    height: int
    depth: int
    colour_type: int


def png_header(data: bytes) -> PngHeader:
    """The header of a PNG, without decoding it. Raises ValueError where there is none."""
    if not data.startswith(PNG_MAGIC) or len(data) < 33 or data[12:16] != b"IHDR":
        raise ValueError(f"expected a PNG, got {len(data)} bytes that begin with {data[:8]!r}")
    return PngHeader(*struct.unpack(">IIBB", data[16:26]))


def _decode(data: bytes) -> NDArray[np.uint8]:
    picture = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise ValueError(f"the PNG is broken or cut short ({len(data)} bytes)")
    if picture.dtype != np.uint8:
        raise ValueError(f"expected a PNG of 8 bits, got {picture.dtype}")
    return np.asarray(picture, dtype=np.uint8)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(PNG_MAGIC)
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += 12 + length


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _palette() -> bytes:
    colours = np.zeros((VESSEL_ID + 1, 3), dtype=np.uint8)
    for structure in STRUCTURES:
        colours[structure.id] = structure.colour
    colours[VESSEL_ID] = VESSEL_COLOUR
    return colours.tobytes()
