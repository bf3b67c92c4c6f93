"""What a DICOM header says of an ultrasound picture: calibrated regions, side, age, timing. Missing stays missing."""

import io
import math
from datetime import date
from pathlib import Path
from typing import Any, Final

import pydicom
from pydicom.dataset import Dataset

from model.anatomy import Laterality
from model.frame import Region, Spacing, check_spacing

_TWO_DIMENSIONAL: Final = 1
_COLOUR_FLOW: Final = 2
_TISSUE_OR_FLOW: Final = (1, _COLOUR_FLOW)
_CENTIMETRES: Final = 3
_DAYS_PER_YEAR: Final = 365.2425
_PER_YEAR: Final = {"Y": 1.0, "M": 12.0, "W": _DAYS_PER_YEAR / 7, "D": _DAYS_PER_YEAR}
_SIDES: Final = {"L": Laterality.LEFT, "R": Laterality.RIGHT}
_SIDE_CODES: Final = {
    "7771000": Laterality.LEFT,
    "24028007": Laterality.RIGHT,
    "G-A101": Laterality.LEFT,
    "G-A100": Laterality.RIGHT,
}


def read_header(source: Path | bytes) -> Dataset:
    """A file's attributes up to its pixels."""
    opened = io.BytesIO(source) if isinstance(source, bytes) else source
    return pydicom.dcmread(opened, stop_before_pixels=True, force=True)


def read_regions(header: Dataset, width: int, height: int) -> tuple[tuple[Region, ...], tuple[str, ...]]:
    """(regions that show tissue or colour flow, clipped to the picture; warnings).

    A region has a scale only if it says centimetres on both axes and lies within the picture: one that reaches
    outside belongs to a picture that was cropped or resized since. One pixel beyond is allowed, as scanners write
    the exclusive bound. PixelSpacing is never used: without regions it tells nothing of an ultrasound picture.
    """
    regions, warnings = [], []
    for number, item in enumerate(header.get("SequenceOfUltrasoundRegions") or (), start=1):
        if item.get("RegionSpatialFormat") != _TWO_DIMENSIONAL or item.get("RegionDataType") not in _TISSUE_OR_FLOW:
            continue
        bounds = _bounds(item)
        if bounds is None or not (bounds[0] < width and bounds[1] < height):
            warnings.append(f"ultrasound region {number} is ignored: its bounds {bounds} are not in the picture")
            continue
        spacing_mm, problem = _spacing(item)
        x0, y0, x1, y1 = bounds
        if spacing_mm is not None and (x1 > width or y1 > height):
            spacing_mm, problem = None, f"it reaches to ({x1}, {y1}), outside the picture of {width} x {height}"
        if problem:
            warnings.append(f"no millimetres from ultrasound region {number}: {problem}")
        shows_flow = item.RegionDataType == _COLOUR_FLOW
        regions.append(Region(x0, y0, min(x1, width - 1), min(y1, height - 1), spacing_mm, shows_flow))
    if not regions and "PixelSpacing" in header:
        warnings.append("PixelSpacing is not used: only ultrasound regions give millimetres")
    return tuple(regions), tuple(warnings)


def read_laterality(header: Dataset) -> tuple[Laterality, tuple[str, ...]]:
    """(side of the body, warnings); unknown where nothing is said, both sides are meant, or two fields disagree."""
    said = {_SIDES[letter] for letter in _side_letters(header) if letter in _SIDES}
    for region in header.get("AnatomicRegionSequence") or ():
        for modifier in region.get("AnatomicRegionModifierSequence") or ():
            said |= {_SIDE_CODES[code] for code in (modifier.get("CodeValue"),) if code in _SIDE_CODES}
    if len(said) > 1:
        return Laterality.UNKNOWN, ("the side is unknown: the file says left in one place and right in another",)
    return (said.pop() if said else Laterality.UNKNOWN), ()


def read_age(header: Dataset) -> float | None:
    """Age in years from PatientAge, else from the dates of birth and study; None where neither is usable."""
    text = str(header.get("PatientAge") or "").strip().upper()
    if text[:-1].isdigit() and text[-1] in _PER_YEAR:
        return _plausible(int(text[:-1]) / _PER_YEAR[text[-1]])
    born = read_date(header.get("PatientBirthDate"))
    days = (read_date(header.get(name)) for name in ("StudyDate", "SeriesDate", "ContentDate"))
    seen = next((day for day in days if day is not None), None)
    return None if born is None or seen is None else _plausible((seen - born).days / _DAYS_PER_YEAR)


def age_text(years: float) -> str:
    """An age as DICOM tells it: children's in months, since years would make an infant of 7 months 0 years old."""
    return f"{int(years):03d}Y" if years >= 18 else f"{int(years * 12):03d}M"


def read_date(value: Any) -> date | None:
    """A day from YYYYMMDD, or from the older YYYY.MM.DD; None for anything else."""
    digits = str(value or "").strip().replace(".", "")
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])) if len(digits) == 8 else None
    except ValueError:
        return None


def read_frame_time(header: Dataset) -> float | None:
    """Milliseconds between frames, None where the file does not say."""
    time = _number(header.get("FrameTime"))
    if time is not None and time > 0:
        return time
    steps = [step for step in map(_number, header.get("FrameTimeVector") or ()) if step is not None and step > 0]
    if steps:
        return sum(steps) / len(steps)
    rates = (_number(header.get(name)) for name in ("CineRate", "RecommendedDisplayFrameRate"))
    return next((1000.0 / rate for rate in rates if rate is not None and rate > 0), None)


def _bounds(item: Dataset) -> tuple[int, int, int, int] | None:
    values = [item.get(f"RegionLocation{name}") for name in ("MinX0", "MinY0", "MaxX1", "MaxY1")]
    if any(not isinstance(value, int) for value in values):
        return None
    x0, y0, x1, y1 = (int(value) for value in values if value is not None)
    return (x0, y0, x1, y1) if 0 <= x0 < x1 and 0 <= y0 < y1 else None


def _spacing(item: Dataset) -> tuple[Spacing | None, str]:
    units = item.get("PhysicalUnitsYDirection"), item.get("PhysicalUnitsXDirection")
    if units != (_CENTIMETRES, _CENTIMETRES):
        return None, "its units are not centimetres on both axes"
    row, column = (_number(item.get(f"PhysicalDelta{axis}")) for axis in "YX")
    if row is None or column is None:
        return None, "its pixel size is missing"
    # Signs tell the direction of the axes, not a length.
    spacing_mm = abs(row) * 10, abs(column) * 10
    try:
        check_spacing(spacing_mm)
    except ValueError as error:
        return None, str(error)
    return spacing_mm, ""


def _side_letters(header: Dataset) -> list[str]:
    letters = [header.get("ImageLaterality"), header.get("Laterality")]
    for group in header.get("SharedFunctionalGroupsSequence") or ():
        letters += [anatomy.get("FrameLaterality") for anatomy in group.get("FrameAnatomySequence") or ()]
    return [str(letter).strip().upper() for letter in letters if letter]


def _plausible(age_years: float) -> float | None:
    return age_years if 0 <= age_years <= 130 else None


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
