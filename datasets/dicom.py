"""The one DICOM reader: a file or its bytes -> a cine of frames, with calibration, side, age and identity.

cine = read_dicom(path)
for frame in cine.frames(): ...
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from datasets.dicom_display import Display, Window, read_display, show
from datasets.dicom_header import read_age, read_frame_time, read_laterality, read_regions
from datasets.picture import UnreadableFile, check_size, is_out_of_reach, jpeg_header, unopened
from model.anatomy import Laterality
from model.frame import Frame, Region

DECODERS: Final = {
    ImplicitVRLittleEndian: "",
    ExplicitVRLittleEndian: "",
    ExplicitVRBigEndian: "",
    DeflatedExplicitVRLittleEndian: "",
    JPEGBaseline8Bit: "gdcm",
    JPEGExtended12Bit: "gdcm",
    JPEGLossless: "gdcm",
    JPEGLosslessSV1: "gdcm",
    JPEGLSLossless: "gdcm",
    JPEGLSNearLossless: "gdcm",
    JPEG2000: "pylibjpeg",
    JPEG2000Lossless: "pylibjpeg",
    HTJ2KLossless: "pylibjpeg",
    HTJ2KLosslessRPCL: "pylibjpeg",
    RLELossless: "pylibjpeg",
}
"""The decoder of each transfer syntax: always the same, so that a picture never depends on what else is installed."""
PIXEL_HEAD_BYTES: Final = 65_536

# Real files break many rules that do no harm, and pydicom's complaints would quote patients' data into logs.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE


@dataclass(frozen=True, slots=True)
class Identity:
    """Who and what a file shows; texts are empty where the file does not say."""

    patient_id: str
    study_uid: str
    series_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    modality: str
    study_date: str
    manufacturer: str


@dataclass(frozen=True, slots=True, eq=False)
class DicomCine:
    """One DICOM file of pictures, decoded frame by frame on demand. Sizes in pixels, time in milliseconds."""

    source: str
    identity: Identity
    transfer_syntax: str
    width: int
    height: int
    frame_count: int
    frame_time_ms: float | None
    laterality: Laterality
    age_years: float | None
    regions: tuple[Region, ...]
    warnings: tuple[str, ...]
    display: Display
    _pixels: Path | bytes | Dataset
    _is_secretly_ybr: bool = False

    def __len__(self) -> int:
        return self.frame_count

    def frames(self) -> Iterator[Frame]:
        """All frames in order, one decoded at a time. Raises UnreadableFile at the frame that cannot be decoded."""
        display = self._levels()
        count = 0
        for count, samples in enumerate(self._decode(None), start=1):
            yield self._frame(show(samples, display), count - 1)
        if count < self.frame_count:
            raise _cut_short(self.source, f"{self.frame_count} frames were announced, {count} came")

    def frame(self, index: int) -> Frame:
        """One frame, counted from 0. Raises IndexError past the end, UnreadableFile where it cannot be decoded."""
        if not 0 <= index < self.frame_count:
            raise IndexError(f"{self.source} has frames 0 to {self.frame_count - 1}, asked for {index}")
        samples = next(self._decode([index]), None)
        if samples is None:
            raise _cut_short(self.source, f"frame {index} is missing")
        return self._frame(show(samples, self._levels()), index)

    def _frame(self, pixels: NDArray[np.uint8], index: int) -> Frame:
        calibrated = any(region.spacing_mm is not None for region in self.regions)
        return Frame(
            pixels,
            self.regions,
            "dicom-region" if calibrated else None,
            self.source,
            index,
            self.laterality,
            self.age_years,
            self.warnings,
        )

    def _levels(self) -> Display:
        """Deep grey without a window is scaled over the whole file, so that brightness stays even along a cine."""
        display = self.display
        if display.palette is not None or display.window is not None or display.bits <= 8:
            return display
        ends = [(float(samples.min()), float(samples.max())) for samples in self._decode(None) if samples.ndim == 2]
        return (
            replace(display, window=Window(min(low for low, _ in ends), max(high for _, high in ends)))
            if ends
            else display
        )

    def _decode(self, indices: list[int] | None) -> Iterator[NDArray[np.generic]]:
        source = io.BytesIO(self._pixels) if isinstance(self._pixels, bytes) else self._pixels
        plugin = DECODERS[UID(self.transfer_syntax)]
        force = self._is_secretly_ybr
        try:
            for samples in iter_pixels(source, indices=indices, decoding_plugin=plugin, force_rgb=force):
                if samples.shape[:2] != (self.height, self.width):
                    raise ValueError(f"a frame decodes to {samples.shape}, expected {self.height} x {self.width}")
                yield samples
        except (UnreadableFile, GeneratorExit):
            raise
        except Exception as error:  # each decoder fails in its own way
            if is_out_of_reach(error):
                raise unopened(self.source, error) from error
            syntax = UID(self.transfer_syntax).name
            raise _cut_short(self.source, f"its pixels ({syntax}) cannot be decoded: {error}") from error


def read_dicom(source: Path | bytes, name: str = "") -> DicomCine:
    """The cine in a DICOM file, with or without preamble; only the header is read now.

    `name` is told in frames and errors, by default the path. Raises UnreadableFile for what is no DICOM, holds no
    picture, is cut short, is too large, or is packed in a way that has no decoder here; OutOfReach, which is one too,
    where the system does not give the file.
    """
    name = name or (str(source) if isinstance(source, Path) else "DICOM data")
    try:
        return _read(source, name)
    except UnreadableFile:
        raise
    except OSError as error:
        raise unopened(name, error) from error
    except Exception as error:  # pydicom raises many kinds on broken headers
        remedy = "export it again from the scanner or archive"
        raise UnreadableFile(name, f"its header is broken: {error}", remedy) from error


def _read(source: Path | bytes, name: str) -> DicomCine:
    header, pixel_head, bytes_left = _read_header(source)
    width, height, frame_count = _size(header, name)
    syntax = _transfer_syntax(header, name)
    _check_whole(header, bytes_left, syntax, name)
    try:
        display = read_display(header)
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise UnreadableFile(
            name, f"its colours cannot be told: {error}", "export it again as MONOCHROME2 or RGB"
        ) from error
    regions, doubts = read_regions(header, width, height)
    laterality, side_doubts = read_laterality(header)
    return DicomCine(
        name,
        _identity(header),
        str(syntax),
        width,
        height,
        frame_count,
        read_frame_time(header),
        laterality,
        read_age(header),
        regions,
        (*doubts, *side_doubts),
        display,
        _pixel_source(source, header),
        _is_secretly_ybr(header, syntax, pixel_head),
    )


def _read_header(source: Path | bytes) -> tuple[Dataset, bytes, int]:
    """(header up to the pixels, the first bytes from the pixels' tag on, their number in all)."""
    with source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as file:
        header = pydicom.dcmread(file, stop_before_pixels=True, force=True)
        at = file.tell()
        return header, file.read(PIXEL_HEAD_BYTES), file.seek(0, io.SEEK_END) - at


def _size(header: Dataset, name: str) -> tuple[int, int, int]:
    sop_class = UID(str(header.get("SOPClassUID", "")))
    if "Rows" not in header or "Columns" not in header:
        what = f"a DICOM object of class {sop_class.name or 'unknown'}" if sop_class else "no DICOM object"
        raise UnreadableFile(name, f"a picture was expected, this is {what}", "give an ultrasound image or cine")
    width, height = int(header.Columns), int(header.Rows)
    frame_count = int(header.get("NumberOfFrames") or 1)
    check_size(name, width, height, frame_count)
    return width, height, frame_count


def _transfer_syntax(header: Dataset, name: str) -> UID:
    said = header.file_meta.get("TransferSyntaxUID") if hasattr(header, "file_meta") else None
    if said is None:
        implicit, little = header.original_encoding
        said = (ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian) if little else ExplicitVRBigEndian
    syntax = UID(said)
    if syntax not in DECODERS:
        remedy = "convert it to an uncompressed or JPEG 2000 DICOM, or a video to MP4"
        raise UnreadableFile(name, f"there is no decoder for its transfer syntax {syntax.name}", remedy)
    return syntax


def _check_whole(header: Dataset, bytes_left: int, syntax: UID, name: str) -> None:
    if syntax == DeflatedExplicitVRLittleEndian:
        return
    if bytes_left < 8:
        raise UnreadableFile(name, "its header announces a picture, but no pixels follow", "get the whole file")
    if syntax.is_compressed:
        return
    samples = (
        2 if str(header.get("PhotometricInterpretation")) == "YBR_FULL_422" else int(header.get("SamplesPerPixel") or 1)
    )
    bits = int(header.Rows) * int(header.Columns) * samples * int(header.get("BitsAllocated") or 8)
    needed = bits * int(header.get("NumberOfFrames") or 1) // 8
    if bytes_left < needed:
        raise _cut_short(name, f"{needed} bytes of pixels were announced, at most {bytes_left} are there")


def _is_secretly_ybr(header: Dataset, syntax: UID, pixel_head: bytes) -> bool:
    """Whether a JPEG labelled RGB holds YCbCr: it names no colour model itself, yet two of its planes are coarser.

    Where the JPEG does name its model, the decoder follows it whatever the label says.
    """
    if syntax != JPEGBaseline8Bit or header.get("PhotometricInterpretation") != "RGB":
        return False
    jpeg = jpeg_header(pixel_head[max(pixel_head.find(b"\xff\xd8\xff"), 0) :])
    return jpeg is not None and jpeg.is_subsampled and not jpeg.is_marked


def _pixel_source(source: Path | bytes, header: Dataset) -> Path | bytes | Dataset:
    """What the decoder reads from: the file itself, or a whole data set where the file lacks its own description."""
    syntax = header.file_meta.get("TransferSyntaxUID") if hasattr(header, "file_meta") else None
    if syntax is not None and syntax != DeflatedExplicitVRLittleEndian and _has_preamble(source):
        return source
    dataset: Any = pydicom.dcmread(io.BytesIO(source) if isinstance(source, bytes) else source, force=True)
    if syntax is None:
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = _transfer_syntax(header, "")
    return dataset  # type: ignore[no-any-return]


def _has_preamble(source: Path | bytes) -> bool:
    if isinstance(source, bytes):
        return source[128:132] == b"DICM"
    with source.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _identity(header: Dataset) -> Identity:
    uids = ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID")
    names = ("PatientID", *uids, "Modality", "StudyDate", "Manufacturer")
    return Identity(*(str(header.get(name) or "") for name in names))


def _cut_short(name: str, problem: str) -> UnreadableFile:
    return UnreadableFile(name, problem, "the file is cut short or broken: get it again from the archive")
