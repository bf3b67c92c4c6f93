"""What a researcher's table says of pictures: a CSV, a row a picture, for `hipsono data import --table`.

file,patient,view,spacing_mm,age_years,side,gsus,aiis_x,aiis_y
p01/a.png,p01,iliopectineal,0.08,9.5,left,,211.4,305.2
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, TypeVar

from datasets.csv_file import Row, read_csv
from datasets.files import FrameOptions, parse_spacing
from model.anatomy import GRADES, POINT_LANDMARK_NAMES, Laterality, View

_POINTS: Final = tuple(f"{name}_{axis}" for name in POINT_LANDMARK_NAMES for axis in "xy")
COLUMNS: Final = ("file", "frame", "patient", "view", "spacing_mm", "age_years", "side", "gsus", "pdus", *_POINTS)

_Kind = TypeVar("_Kind", View, Laterality)


@dataclass(frozen=True, slots=True)
class Label:
    """A row of the table, without what its cells leave open. Landmarks are (x, y) in pixels of the picture."""

    place: str
    frame: int | None
    patient: str
    view: View | None
    known: FrameOptions
    gsus: int | None
    pdus: int | None
    landmarks: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class LabelTable:
    """All rows by file and frame (None: every frame of it), and the landmarks that have columns."""

    labels: Mapping[tuple[str, int | None], Label]
    landmarks: tuple[str, ...]

    def of(self, file: str, frame: int) -> Label:
        """What is said of a file's frame. Raises ValueError where nothing is, or points of no frame in particular."""
        label = self.labels.get((file, frame)) or self.labels.get((file, None))
        if label is None:
            raise ValueError(f"{file}, frame {frame} has no row in the table: give it one, or take the picture out")
        if frame and label.frame is None and label.landmarks:
            raise ValueError(f"{label.place}: {file} has several frames, add a column frame for the landmarks' own")
        return label


def read_label_table(path: Path, pictures: Path) -> LabelTable:
    """The table in a CSV file about a folder of pictures. Raises ValueError with row and column, OSError."""
    heads, rows = read_csv(path)
    _check_heads(path, heads)
    labels: dict[tuple[str, int | None], Label] = {}
    for number, row in rows:
        place = f"{path} row {number}"
        file_name = PurePosixPath(row["file"].replace("\\", "/")).as_posix()
        if not row["file"] or not (pictures / file_name).is_file():
            raise ValueError(f"{place}, column file: {row['file']!r} is no file in {pictures}")
        label = _label(place, row)
        if labels.setdefault((file_name, label.frame), label) is not label:
            raise ValueError(f"{place}: {file_name} has a row already")
    return LabelTable(labels, tuple(name for name in POINT_LANDMARK_NAMES if f"{name}_x" in heads))


def _check_heads(path: Path, heads: list[str]) -> None:
    if "file" not in heads:
        raise ValueError(f"{path} has no column file: expected some of {', '.join(COLUMNS)}")
    unknown = [head for head in heads if head not in COLUMNS]
    if unknown or len(set(heads)) < len(heads):
        raise ValueError(f"{path} has unknown or repeated columns {unknown or heads}; known: {', '.join(COLUMNS)}")
    alone = [name for name in POINT_LANDMARK_NAMES if (f"{name}_x" in heads) != (f"{name}_y" in heads)]
    if alone:
        raise ValueError(f"{path}: {alone[0]} needs both columns, {alone[0]}_x and {alone[0]}_y")


def _label(place: str, row: Row) -> Label:
    def cell(column: str) -> str:
        return row.get(column, "")

    frame = _number(place, row, "frame")
    if frame is not None and (frame < 0 or frame % 1):
        raise ValueError(f"{place}, column frame: {cell('frame')!r}; expected 0, 1, 2 ...")
    return Label(
        place,
        None if frame is None else int(frame),
        cell("patient"),
        _one_of(place, row, "view", View),
        _known(place, row),
        _grade(place, row, "gsus"),
        _grade(place, row, "pdus"),
        {name: point for name in POINT_LANDMARK_NAMES if (point := _point(place, row, name)) is not None},
    )


def _known(place: str, row: Row) -> FrameOptions:
    told = row.get("spacing_mm", "")
    side = _one_of(place, row, "side", Laterality) or Laterality.UNKNOWN
    try:
        spacing = parse_spacing(told if "," in told else f"{told},{told}") if told else None
        return FrameOptions(spacing, side, _number(place, row, "age_years"))
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error


def _one_of(place: str, row: Row, column: str, kind: type[_Kind]) -> _Kind | None:
    told = row.get(column, "")
    try:
        return kind(told) if told else None
    except ValueError:
        raise ValueError(f"{place}, column {column}: {told!r}; expected one of {', '.join(kind)}") from None


def _grade(place: str, row: Row, column: str) -> int | None:
    grade = _number(place, row, column)
    if grade is not None and grade not in GRADES:
        raise ValueError(f"{place}, column {column}: {row[column]!r}; expected one of {', '.join(map(str, GRADES))}")
    return None if grade is None else int(grade)


def _point(place: str, row: Row, name: str) -> tuple[float, float] | None:
    x, y = _number(place, row, f"{name}_x"), _number(place, row, f"{name}_y")
    if (x is None) != (y is None):
        raise ValueError(f"{place}: {name} has one coordinate; expected two, or none where it is not to be seen")
    return None if x is None or y is None else (x, y)


def _number(place: str, row: Row, column: str) -> float | None:
    told = row.get(column, "")
    try:
        value = float(told) if told else None
    except ValueError:
        value = float("nan")
    if value is not None and not abs(value) < float("inf"):
        raise ValueError(f"{place}, column {column}: {told!r}; expected a number")
    return value
