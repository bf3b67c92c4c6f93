"""Looks a dataset over: every defect named with its file, so that a person can mend it before training."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datasets.layout import DESCRIPTION, FRAMES, MASKS, RECORDS, read_description
from datasets.palette import decode_frame, decode_mask
from datasets.record import Record, parse_record
from datasets.sample import VESSEL, VESSEL_ID
from model.anatomy import BACKGROUND, GRADES, LANDMARKS, POINT_LANDMARK_NAMES, STRUCTURE_NAMES, STRUCTURES, View
from model.frame import MIN_SIDE_PX

_IDS = {BACKGROUND, VESSEL_ID, *(structure.id for structure in STRUCTURES)}


@dataclass(frozen=True, slots=True)
class Defect:
    """Something wrong in a dataset: `file` inside its folder (with the line for records), and what to mend."""

    file: str
    problem: str

    def __str__(self) -> str:
        return f"{self.file}: {self.problem}"


def check_store(folder: Path) -> tuple[Defect, ...]:
    """All defects of a dataset in the order of its records; empty where it is sound. Never raises for bad content."""
    try:
        description = read_description(folder)
    except (ValueError, OSError) as error:
        return (Defect(DESCRIPTION, str(error)),)
    defects: list[Defect] = []
    records: dict[int, Record] = {}
    for number, line in enumerate((folder / RECORDS).read_bytes().splitlines(), start=1):
        try:
            records[number] = parse_record(line)
        except (ValueError, TypeError) as error:
            defects.append(Defect(f"{RECORDS}:{number}", str(error)))
    if description.get("frames") not in (None, len(records) + len(defects)):
        found = len(records) + len(defects)
        defects.append(Defect(DESCRIPTION, f"{description['frames']} frames are announced, {RECORDS} has {found}"))
    for number, record in records.items():
        defects += (Defect(f"{RECORDS}:{number}", problem) for problem in _record_problems(record))
        defects += _picture_defects(folder, record)
    return (*defects, *_duplicates(records), *_orphans(folder, records))


def _record_problems(record: Record) -> Iterator[str]:
    if not record.patient_id:
        yield "patient_id is missing: without it no split keeps a patient on one side"
    if min(record.width, record.height) < MIN_SIDE_PX:
        yield f"the frame is {record.width} x {record.height}, at least {MIN_SIDE_PX} a side are needed"
    for name in ("gsus", "pdus"):
        grade = getattr(record, name)
        if grade is not None and (grade not in GRADES or isinstance(grade, bool)):
            yield f"{name} is {grade!r}, expected one of {GRADES} or nothing"
    if record.age_years is not None and not 0 <= record.age_years <= 130:
        yield f"age_years is {record.age_years}, expected 0 to 130"
    unknown = [name for name in record.labelled if name not in (*STRUCTURE_NAMES, VESSEL)]
    if unknown:
        yield f"labelled names unknown classes {unknown}"
    unknown = [name for name in record.pointed if name not in POINT_LANDMARK_NAMES]
    if unknown:
        yield f"pointed names unknown landmarks {unknown}"
    for region in record.regions:
        if region.x0 < 0 or region.y0 < 0 or region.x1 >= record.width or region.y1 >= record.height:
            yield f"region {region.x0, region.y0, region.x1, region.y1} reaches outside the frame"
    yield from _landmark_problems(record)


def _landmark_problems(record: Record) -> Iterator[str]:
    for landmark, point in zip(LANDMARKS, record.landmarks, strict=True):
        if point is None:
            continue
        x, y = point
        if not (-0.5 <= x <= record.width - 0.5 and -0.5 <= y <= record.height - 0.5):
            yield f"landmark {landmark.name} ({x:g}, {y:g}) lies outside the frame of {record.width} x {record.height}"
        if record.view not in landmark.views:
            yield f"landmark {landmark.name} does not belong to view {record.view}"


def _picture_defects(folder: Path, record: Record) -> Iterator[Defect]:
    size = (record.height, record.width)
    frame = _decoded(folder, record.file, is_mask=False)
    if isinstance(frame, Defect):
        yield frame
    elif frame.shape[:2] != size:
        yield Defect(record.file, f"it is {frame.shape[1]} x {frame.shape[0]}, its record says {size[1]} x {size[0]}")
    if record.mask is None:
        return
    mask = _decoded(folder, record.mask, is_mask=True)
    if isinstance(mask, Defect):
        yield mask
    else:
        if mask.shape != size:
            yield Defect(record.mask, f"it is {mask.shape[1]} x {mask.shape[0]}, its frame {size[1]} x {size[0]}")
        yield from (Defect(record.mask, problem) for problem in _mask_problems(mask, record))


def _mask_problems(mask: NDArray[np.uint8], record: Record) -> Iterator[str]:
    present = {int(value) for value in np.flatnonzero(np.bincount(mask.ravel(), minlength=256))}
    unknown = sorted(present - _IDS)
    if unknown:
        yield f"ids {unknown} are no structures"
    for structure in STRUCTURES:
        if structure.id not in present:
            continue
        if record.view not in structure.views and record.view is not View.OTHER:
            yield f"structure {structure.name} does not belong to view {record.view}"
        if record.view is View.OTHER:
            yield f"structure {structure.name} is drawn in a frame of view {record.view}: nothing may be located there"
        if structure.name not in record.labelled:
            yield f"structure {structure.name} is drawn, but not among the labelled classes"


def _decoded(folder: Path, file: str, *, is_mask: bool) -> NDArray[np.uint8] | Defect:
    try:
        data = (folder / file).read_bytes()
        return decode_mask(data) if is_mask else decode_frame(data)
    except OSError:
        return Defect(file, "the mask is missing" if is_mask else "the frame is missing")
    except ValueError as error:
        return Defect(file, str(error))


def _duplicates(records: dict[int, Record]) -> Iterator[Defect]:
    seen: dict[str, int] = {}
    for number, record in records.items():
        for file in (record.file, *([record.mask] if record.mask else [])):
            first = seen.setdefault(file, number)
            if first != number:
                yield Defect(f"{RECORDS}:{number}", f"{file} is already the picture of line {first}")


def _orphans(folder: Path, records: dict[int, Record]) -> Iterator[Defect]:
    named = {record.file for record in records.values()} | {record.mask for record in records.values()}
    for path in sorted(path for name in (FRAMES, MASKS) for path in (folder / name).rglob("*")):
        file = path.relative_to(folder).as_posix()
        if path.is_file() and file not in named:
            yield Defect(file, f"no record names it: add one to {RECORDS} or remove the file")
