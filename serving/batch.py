"""Files and folders -> a line of JSON each frame, for `hipsono read`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from datasets.files import FrameOptions, every_file, is_readable, parse_spacing, read_frames
from datasets.picture import UnreadableFile
from model.anatomy import Laterality
from model.frame import Frame
from model.reading import Reader, Reading
from serving.bodies import encode_reading
from serving.overlay import draw_overlay, encode_png
from serving.settings import Settings
from serving.tuning import open_session


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What the command line says of the files."""

    overlay: Path | None = None
    spacing_mm: str | None = None
    laterality: Laterality = Laterality.UNKNOWN
    age_years: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A frame's answer, or why its file gave none. `skipped`: a file in a folder that never was a picture."""

    source: str
    text: str
    error: str | None = None
    skipped: bool = False


def read_files(paths: list[Path], settings: Settings, options: ReadOptions) -> Iterator[Line]:
    """Every frame of every file; a file that cannot be read gives its reason and the others go on."""
    reader = Reader(open_session(settings), looks=settings.looks)
    spacing = parse_spacing(options.spacing_mm) if options.spacing_mm else None
    known = FrameOptions(spacing, options.laterality, options.age_years)
    for path, in_folder in _files(paths):
        if in_folder and not is_readable(path):
            yield Line(str(path), "", "skipped: not a picture, DICOM file or video", skipped=True)
            continue
        try:
            for frame in read_frames(path, known):
                reading = reader.read(frame)
                if options.overlay is not None:
                    _write_overlay(options.overlay, path, frame, reading)
                yield Line(str(path), encode_reading(reading, source=str(path)).decode())
        except (UnreadableFile, OSError, ValueError) as error:
            yield Line(str(path), "", str(error))


def _files(paths: list[Path]) -> Iterator[tuple[Path, bool]]:
    """Each file, and whether it was found in a folder rather than named."""
    for path in paths:
        if path.is_dir():
            yield from ((file, True) for file in every_file(path))
        else:
            yield path, False


def _write_overlay(folder: Path, path: Path, frame: Frame, reading: Reading) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{path.name}.{frame.index:04d}.png").write_bytes(encode_png(draw_overlay(frame, reading)))
