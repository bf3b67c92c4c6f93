"""Any file, bytes or folder -> Frames: JPEG, PNG, DICOM and video, told apart by content, never by name.

for frame in read_frames(path, FrameOptions(spacing_mm=(0.08, 0.08))): ...
frame = decode_picture(jpeg_bytes)
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from datasets.dicom import read_dicom
from datasets.palette import PNG_MAGIC, png_header
from datasets.picture import UnreadableFile, check_size, grey_if_colourless, jpeg_header, unopened
from model.anatomy import Laterality
from model.frame import Frame, Spacing, check_spacing, whole_frame

__all__ = [
    "FileKind",
    "FrameOptions",
    "UnreadableFile",
    "decode_picture",
    "every_file",
    "frame_of",
    "is_readable",
    "kind_of",
    "kind_of_file",
    "list_files",
    "parse_spacing",
    "read_frames",
]

HEAD_BYTES: Final = 1024
_OLDEST_YEARS: Final = 130.0
_DEPTHS: Final = (8, 10, 12, 14, 16)
"""Bits that pictures are made with. Those of fewer than 16 come in 16 with the highest unused: all but black."""
_REMEDY: Final = "give a JPEG, PNG, DICOM or video file (MP4, AVI, MKV)"


class FileKind(StrEnum):
    """What a file is, told by its first bytes."""

    JPEG = "image/jpeg"
    PNG = "image/png"
    DICOM = "application/dicom"
    VIDEO = "video"


@dataclass(frozen=True, slots=True)
class FrameOptions:
    """What the caller knows of a picture; it goes before what the file says. `spacing_mm` is (row, column)."""

    spacing_mm: Spacing | None = None
    laterality: Laterality = Laterality.UNKNOWN
    age_years: float | None = None

    def __post_init__(self) -> None:
        if self.spacing_mm is not None:
            check_spacing(self.spacing_mm)
        if self.age_years is not None and not 0 <= self.age_years <= _OLDEST_YEARS:
            raise ValueError(f"age_years is 0 to {_OLDEST_YEARS:g}, got {self.age_years}")

    def apply(self, frame: Frame) -> Frame:
        """The frame with what the caller knows. A given scale holds for every region the file names."""
        if self.laterality is not Laterality.UNKNOWN:
            frame = replace(frame, laterality=self.laterality)
        if self.age_years is not None:
            frame = replace(frame, age_years=self.age_years)
        if self.spacing_mm is None:
            return frame
        regions = tuple(replace(region, spacing_mm=self.spacing_mm) for region in frame.regions)
        regions = regions or whole_frame(frame.width, frame.height, self.spacing_mm)
        kept = tuple(warning for warning in frame.warnings if not warning.startswith("no millimetres"))
        return replace(frame, regions=regions, spacing_source="request", warnings=kept)


NOTHING_KNOWN: Final = FrameOptions()


def parse_spacing(text: str) -> Spacing:
    """ "ROW,COL" in mm per pixel. Raises ValueError with the form expected."""
    try:
        row, column = (float(part) for part in text.split(","))
    except ValueError as error:
        raise ValueError(f"spacing_mm is ROW,COL in mm per pixel, such as 0.08,0.08; got {text!r}") from error
    return row, column


def kind_of(head: bytes) -> FileKind | None:
    """The kind of a file by its first bytes (HEAD_BYTES are enough), None for anything we do not read."""
    if head.startswith(b"\xff\xd8\xff"):
        return FileKind.JPEG
    if head.startswith(PNG_MAGIC):
        return FileKind.PNG
    if head[128:132] == b"DICM" or _begins_like_dicom(head):
        return FileKind.DICOM
    is_video = (
        head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide")
        or (head.startswith(b"RIFF") and head[8:12] == b"AVI ")
        or head.startswith((b"\x1a\x45\xdf\xa3", b"\0\0\x01\xba", b"\0\0\x01\xb3"))
    )
    return FileKind.VIDEO if is_video else None


def read_frames(
    source: Path | bytes,
    options: FrameOptions = NOTHING_KNOWN,
    *,
    name: str = "",
    on_error: Callable[[UnreadableFile], None] | None = None,
) -> Iterator[Frame]:
    """The frames of a file, of its bytes, or of every picture in a folder (recursively, in the order of names).

    Raises UnreadableFile; with `on_error` the error is handed over instead and the next file follows. Files of other
    kinds in a folder are passed by.
    """
    files = list_files(source) if isinstance(source, Path) and source.is_dir() else (source,)
    for file in files:
        try:
            yield from map(options.apply, _read_one(file, name or (str(file) if isinstance(file, Path) else "")))
        except UnreadableFile as error:
            if on_error is None:
                raise
            on_error(error)


def list_files(folder: Path) -> tuple[Path, ...]:
    """Every file below a folder that we can read, sorted by path."""
    return tuple(path for path in every_file(folder) if is_readable(path))


def every_file(folder: Path) -> tuple[Path, ...]:
    """Every file below a folder, sorted by path."""
    return tuple(path for path in sorted(folder.rglob("*")) if path.is_file())


def is_readable(path: Path) -> bool:
    """Whether a file's first bytes are those of a kind we read."""
    return kind_of_file(path) is not None


def kind_of_file(path: Path) -> FileKind | None:
    """The kind of a file by its first bytes, None for anything we do not read. Raises UnreadableFile."""
    return kind_of(_bytes(path, HEAD_BYTES))


def decode_picture(data: bytes, name: str = "") -> Frame:
    """The frame in a JPEG or PNG: grey where the picture has no colour, alpha laid on black, deep pictures in 8 bits
    (10, 12 or 14 that come in 16 are told by how far they fill it, which is a warning).

    Raises UnreadableFile; the size is looked at before anything is decoded.
    """
    kind = kind_of(data[:HEAD_BYTES])
    if kind not in (FileKind.JPEG, FileKind.PNG):
        raise UnreadableFile(name, f"a JPEG or PNG was expected, got {kind or 'something else'}", _REMEDY)
    width, height = _jpeg_size(data) if kind is FileKind.JPEG else _png_size(data)
    if not width or not _ends_well(data, kind):
        raise UnreadableFile(name, f"the {kind.name} is cut short or broken ({len(data)} bytes)", "send the whole file")
    check_size(name, width, height)
    try:
        picture = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise UnreadableFile(name, f"the {kind.name} cannot be decoded: {error}", "save the picture again") from error
    if picture is None:
        raise UnreadableFile(name, f"the {kind.name} cannot be decoded", "save the picture again")
    return frame_of(np.asarray(picture), name)


def frame_of(picture: NDArray[np.generic], name: str = "", index: int = 0) -> Frame:
    """OpenCV's picture (grey, BGR or BGRA, 8 or 16 bits) as a Frame: grey where it has no colour.

    Raises UnreadableFile for one that is too small or too large.
    """
    check_size(name, picture.shape[1], picture.shape[0])
    if picture.dtype != np.uint16:
        return Frame(_grey_or_rgb(np.asarray(picture, np.uint8)), source=name, index=index)
    brightest = int((picture if picture.ndim == 2 else picture[..., :3]).max())
    bits = next(bits for bits in _DEPTHS if brightest < 1 << bits)
    warnings = () if bits == _DEPTHS[-1] else (f"a picture of 16 bits that fills {bits} is taken for one of {bits}",)
    return Frame(_grey_or_rgb(_shallow(picture, bits)), source=name, index=index, warnings=warnings)


def _read_one(source: Path | bytes, name: str) -> Iterator[Frame]:
    kind = kind_of(source[:HEAD_BYTES] if isinstance(source, bytes) else _bytes(source, HEAD_BYTES))
    if kind is None:
        raise UnreadableFile(name, "it is no picture we know", _REMEDY)
    if kind is FileKind.DICOM:
        yield from read_dicom(source, name).frames()
    elif kind is FileKind.VIDEO:
        yield from _read_video(source, name)
    else:
        yield decode_picture(source if isinstance(source, bytes) else _bytes(source), name)


def _read_video(source: Path | bytes, name: str) -> Iterator[Frame]:
    if isinstance(source, bytes):  # OpenCV opens videos by path only
        with tempfile.NamedTemporaryFile(suffix=".video") as file:
            file.write(source)
            file.flush()
            yield from _read_video(Path(file.name), name)
        return
    video = cv2.VideoCapture(str(source))
    try:
        if not video.isOpened() or not video.get(cv2.CAP_PROP_FRAME_WIDTH):
            _bytes(source, HEAD_BYTES)
            raise UnreadableFile(name, "the video cannot be opened", "convert it to MP4 with H.264")
        index = 0
        while (read := video.read())[0]:
            yield frame_of(np.asarray(read[1]), name, index)
            index += 1
        _bytes(source, HEAD_BYTES)  # OpenCV does not tell the end of a video from that of its share
        if index == 0:
            raise UnreadableFile(name, "the video holds no frame that can be decoded", "convert it to MP4 with H.264")
    finally:
        video.release()


def _shallow(picture: NDArray[np.generic], bits: int) -> NDArray[np.uint8]:
    """A picture of 16 bits of which the lowest `bits` are used, in 8; its alpha uses all."""
    levels = np.asarray(picture).astype(np.uint16)
    shown = (levels >> (bits - 8)).astype(np.uint8)
    if levels.ndim == 3 and levels.shape[2] == 4:
        shown[..., 3] = levels[..., 3] >> 8
    return shown


def _grey_or_rgb(levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """OpenCV's picture (grey, BGR or BGRA) as grey or RGB."""
    if levels.ndim == 2:
        return levels
    if levels.shape[2] == 4:
        opaque = levels[..., 3:].astype(np.uint16)
        levels = ((levels[..., :3] * opaque + 127) // 255).astype(np.uint8)
    return grey_if_colourless(np.asarray(cv2.cvtColor(levels, cv2.COLOR_BGR2RGB), dtype=np.uint8))


def _jpeg_size(data: bytes) -> tuple[int, int]:
    header = jpeg_header(data)
    return (0, 0) if header is None else (header.width, header.height)


def _png_size(data: bytes) -> tuple[int, int]:
    try:
        header = png_header(data)
    except ValueError:
        return 0, 0
    return header.width, header.height


def _ends_well(data: bytes, kind: FileKind) -> bool:
    # A cut JPEG decodes to a picture that is half grey: nobody would notice.
    return data.rfind(b"\xff\xd9" if kind is FileKind.JPEG else b"IEND", 2) > 0


def _begins_like_dicom(head: bytes) -> bool:
    """Files without preamble begin with an element of group 2 or 8, in either byte order."""
    group, element = head[:2], head[2:4]
    little = group in (b"\x02\0", b"\x08\0") and element[1:] == b"\0"
    big = group in (b"\0\x02", b"\0\x08") and element[:1] == b"\0"
    return len(head) > 132 and (little or big)


def _bytes(path: Path, size: int = -1) -> bytes:
    """A file's first bytes, or all of them."""
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise unopened(str(path), error) from error
