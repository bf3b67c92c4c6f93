"""What is kept of a picture: the insonated area, as the scanner showed it; everything around it is black.

Text inside the area survives any mask.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders.base import RLELosslessEncoder

from datasets.dicom import DicomCine
from model.frame import Frame, Region
from model.preprocess import find_sector

Box = tuple[int, int, int, int]
"""(x0, y0, x1, y1), inclusive pixel bounds."""

_STEP_PX: Final = 4
_ABOVE_BACKGROUND: Final = 6
_MARGIN: Final = 2
_LEAST_SHARE: Final = 0.05
_SHOWN_BY: Final = ("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames")


@dataclass(frozen=True, slots=True, eq=False)
class Overview:
    """A cine at a glance: the brightest of every pixel (H, W) grey, whether any frame has colour."""

    brightest: NDArray[np.uint8]
    is_coloured: bool


def overview(cine: DicomCine) -> Overview:
    """Goes through the frames once. Raises UnreadableFile where one cannot be decoded."""
    brightest: NDArray[np.uint8] | None = None
    is_coloured = False
    for frame in cine.frames():
        brightest = frame.grey.copy() if brightest is None else np.maximum(brightest, frame.grey)
        is_coloured = is_coloured or frame.colour is not None
    if brightest is None:
        raise ValueError("it has no frame")
    return Overview(brightest, is_coloured)


def keep_mask(seen: Overview, regions: Sequence[Region], blanked: Sequence[Box]) -> NDArray[np.bool_]:
    """What is kept (H, W): the hull of the echoes within each region of the header, less the blanked boxes.

    Without regions the sector is looked for. Text beside the echoes, and in the corners of a fan, is not in it.
    """
    kept = np.zeros(seen.brightest.shape, np.uint8)
    for x0, y0, x1, y1 in _areas(seen, regions):
        inside = seen.brightest[y0 : y1 + 1, x0 : x1 + 1]
        kept[y0 : y1 + 1, x0 : x1 + 1] |= _hull(inside)
    for x0, y0, x1, y1 in blanked:
        kept[max(y0, 0) : y1 + 1, max(x0, 0) : x1 + 1] = 0
    return kept.astype(bool)


def kept_frames(cine: DicomCine, kept: NDArray[np.bool_], is_coloured: bool) -> Iterator[NDArray[np.uint8]]:
    """The frames, uint8 (H, W) or RGB (H, W, 3), black where nothing is kept."""
    for frame in cine.frames():
        pixels = _in_colour(frame) if is_coloured else frame.grey
        yield np.where(kept[..., None] if is_coloured else kept, pixels, np.uint8(0))


def pack(frames: Sequence[NDArray[np.uint8]]) -> list[bytes]:
    """Each frame as RLE Lossless."""
    return [_rle(frame) for frame in frames]


def describe(header: Dataset, frames: Sequence[bytes], shape: tuple[int, ...], is_lossy: bool) -> None:
    """Puts packed frames of a shape (H, W) or (H, W, 3) into a header, and tells what they are."""
    header.Rows, header.Columns = shape[:2]
    header.BitsAllocated = header.BitsStored = 8
    header.HighBit, header.PixelRepresentation = 7, 0
    is_coloured = len(shape) == 3
    header.SamplesPerPixel = 3 if is_coloured else 1
    header.PhotometricInterpretation = "RGB" if is_coloured else "MONOCHROME2"
    if is_coloured:
        header.PlanarConfiguration = 0
    header.UltrasoundColorDataPresent = int(is_coloured)
    header.ImageType = ["DERIVED", "PRIMARY"]
    header.DerivationDescription = "8 bits as displayed; blanked around the insonated area"
    header.LossyImageCompression = "01" if is_lossy else "00"
    header.PixelData = encapsulate(list(frames))
    header["PixelData"].VR = "OB"


def digest_of(dataset: Dataset) -> str:
    """Tells pictures apart: SHA-256 of the pixels as they are stored, and of what they are shown by."""
    told = hashlib.sha256("|".join(str(dataset.get(name)) for name in _SHOWN_BY).encode())
    told.update(dataset.PixelData)
    return told.hexdigest()


def _areas(seen: Overview, regions: Sequence[Region]) -> list[Box]:
    if regions:
        return [(region.x0, region.y0, region.x1, region.y1) for region in regions]
    return [find_sector(Frame(seen.brightest))]


def _hull(area: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The convex hull of the largest connected bright part, 1 inside; all of the area where nothing stands out."""
    height, width = area.shape
    small = cv2.resize(area, (max(width // _STEP_PX, 1), max(height // _STEP_PX, 1)), interpolation=cv2.INTER_AREA)
    bright = np.asarray(small > int(np.percentile(small, 2)) + _ABOVE_BACKGROUND, dtype=np.uint8)
    opened = cv2.morphologyEx(bright, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    outlines, _ = cv2.findContours(opened, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    best = max(outlines, key=cv2.contourArea, default=None)
    if best is None or cv2.contourArea(best) < _LEAST_SHARE * bright.size:
        return np.ones(area.shape, np.uint8)
    filled = np.zeros(small.shape, np.uint8)
    cv2.fillConvexPoly(filled, cv2.convexHull(best), 1)
    wider = cv2.dilate(filled, np.ones((2 * _MARGIN + 1,) * 2, np.uint8))
    return np.asarray(cv2.resize(wider, (width, height), interpolation=cv2.INTER_NEAREST), dtype=np.uint8)


def _in_colour(frame: Frame) -> NDArray[np.uint8]:
    return frame.pixels if frame.pixels.ndim == 3 else np.repeat(frame.pixels[..., None], 3, axis=2)


def _rle(frame: NDArray[np.uint8]) -> bytes:
    is_coloured = frame.ndim == 3
    return RLELosslessEncoder.encode(
        np.ascontiguousarray(frame),
        rows=frame.shape[0],
        columns=frame.shape[1],
        samples_per_pixel=3 if is_coloured else 1,
        photometric_interpretation="RGB" if is_coloured else "MONOCHROME2",
        bits_allocated=8,
        bits_stored=8,
        pixel_representation=0,
        number_of_frames=1,
        planar_configuration=0,
        encoding_plugin="pylibjpeg",
    )
