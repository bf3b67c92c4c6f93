"""Record: what a dataset on disk says of one frame, to and from a line of JSON."""

from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

import numpy as np
import orjson

from datasets.sample import Acquisition, Sample
from model.anatomy import LANDMARK_NAMES, POINT_LANDMARK_NAMES, STRUCTURE_NAMES, Laterality, View
from model.frame import Frame, Region, Spacing, whole_frame

Landmarks = tuple[tuple[float, float] | None, ...]
"""(x, y) in frame pixels for each of anatomy.LANDMARKS, None where absent."""

_MEASURES: Final = ("capsule_distance_mm", "sagitta_mm", "sagitta_ratio", "flow_fraction")
_ACQUIRED: Final = ("depth_mm", "frequency_mhz", "gain_db", "bmi")


@dataclass(frozen=True, slots=True)
class Record:
    """One frame of a dataset. `file` and `mask` are paths inside its folder; sizes in pixels, distances in mm."""

    file: str
    mask: str | None
    width: int
    height: int
    patient_id: str
    study_id: str
    index: int
    view: View
    landmarks: Landmarks
    labelled: tuple[str, ...]
    pointed: tuple[str, ...] = POINT_LANDMARK_NAMES
    reader_id: str = ""
    source: str = ""
    laterality: Laterality = Laterality.UNKNOWN
    age_years: float | None = None
    regions: tuple[Region, ...] = ()
    spacing_source: str | None = None
    warnings: tuple[str, ...] = ()
    gsus: int | None = None
    pdus: int | None = None
    capsule_distance_mm: float | None = None
    sagitta_mm: float | None = None
    sagitta_ratio: float | None = None
    flow_fraction: float | None = None
    acquisition: Acquisition = field(default_factory=Acquisition)

    @property
    def spacing_mm(self) -> Spacing | None:
        """(row, column) of the largest calibrated region, None without one."""
        known = [region for region in self.regions if region.spacing_mm is not None]
        return max(known, key=lambda region: region.area_px).spacing_mm if known else None


def record_of(sample: Sample, file: str, mask: str | None) -> Record:
    """The record of a sample whose pictures lie under those names."""
    frame, truth = sample.frame, sample.truth
    return Record(
        file,
        mask,
        frame.width,
        frame.height,
        sample.patient_id,
        sample.study_id,
        frame.index,
        truth.view,
        _landmarks_of(sample),
        truth.labelled,
        truth.pointed,
        reader_id=sample.reader_id,
        source=frame.source,
        laterality=frame.laterality,
        age_years=_float(frame.age_years),
        regions=frame.regions,
        spacing_source=frame.spacing_source,
        warnings=frame.warnings,
        gsus=truth.gsus,
        pdus=truth.pdus,
        acquisition=sample.acquisition,
        **{name: _float(getattr(truth, name)) for name in _MEASURES},
    )


def record_line(record: Record) -> bytes:
    """The record as one line of JSON, newline included; what is not known is left out."""
    fields = {name: value for name, value in asdict(record).items() if value not in (None, (), "")}
    fields["landmarks"] = {n: p for n, p in zip(LANDMARK_NAMES, record.landmarks, strict=True) if p is not None}
    fields["labelled"] = record.labelled
    fields["pointed"] = record.pointed
    if record.pointed == POINT_LANDMARK_NAMES:
        del fields["pointed"]
    fields["acquisition"] = {n: v for n, v in asdict(record.acquisition).items() if v is not None}
    for region in fields.get("regions", ()):
        if not region["shows_flow"]:
            del region["shows_flow"]
    spacing = record.spacing_mm
    if spacing is not None and record.regions == whole_frame(record.width, record.height, spacing):
        del fields["regions"]
        fields["spacing_mm"] = spacing
    return orjson.dumps(fields, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n"


def parse_record(line: bytes | str) -> Record:
    """The record of a line. Raises ValueError naming the field that is missing or wrong."""
    raw = orjson.loads(line)
    if not isinstance(raw, dict):
        raise ValueError(f"a record is a JSON object, got {type(raw).__name__}")
    width, height = _whole(raw, "width"), _whole(raw, "height")
    spacing_mm = _spacing(raw.get("spacing_mm"))
    regions = tuple(_region(region) for region in _list(raw, "regions"))
    if spacing_mm is not None and not regions:
        regions = whole_frame(width, height, spacing_mm)
    return Record(
        _inside(_text(raw, "file")),
        _inside(raw["mask"]) if raw.get("mask") is not None else None,
        width,
        height,
        _text(raw, "patient_id"),
        _text(raw, "study_id", ""),
        _whole(raw, "index", 0),
        View(_text(raw, "view")),
        _landmarks(raw.get("landmarks") or {}),
        tuple(_list(raw, "labelled")) if "labelled" in raw else STRUCTURE_NAMES,
        tuple(_list(raw, "pointed")) if "pointed" in raw else POINT_LANDMARK_NAMES,
        reader_id=_text(raw, "reader_id", ""),
        source=_text(raw, "source", ""),
        laterality=Laterality(_text(raw, "laterality", "unknown")),
        age_years=_number(raw, "age_years"),
        regions=regions,
        spacing_source=raw.get("spacing_source"),
        warnings=tuple(_list(raw, "warnings")),
        gsus=raw.get("gsus"),
        pdus=raw.get("pdus"),
        acquisition=_acquisition(raw.get("acquisition") or {}),
        **{name: _number(raw, name) for name in _MEASURES},
    )


def landmarks_array(record: Record) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The landmarks as (9, 2), NaN rows where absent."""
    return np.array([point or (np.nan, np.nan) for point in record.landmarks], dtype=np.float64)


def frame_of(record: Record, pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> Frame:
    """The frame of a record with its pixels."""
    return Frame(
        pixels,
        record.regions,
        record.spacing_source,
        record.source,
        record.index,
        record.laterality,
        record.age_years,
        record.warnings,
    )


def _landmarks_of(sample: Sample) -> Landmarks:
    absent = np.isnan(sample.truth.landmarks_xy)
    if (absent.any(axis=1) != absent.all(axis=1)).any() or np.isinf(sample.truth.landmarks_xy).any():
        raise ValueError("a landmark is (x, y) or absent (both NaN), got half a point or infinity")
    points = sample.truth.landmarks_xy.astype(np.float64).tolist()
    return tuple(None if gone else (x, y) for (x, y), gone in zip(points, absent[:, 0], strict=True))


def _landmarks(raw: Any) -> Landmarks:
    if not isinstance(raw, dict) or not set(raw) <= set(LANDMARK_NAMES):
        raise ValueError(f"landmarks is an object with names out of {LANDMARK_NAMES}, got {raw!r}")
    return tuple(None if raw.get(name) is None else _pair(raw[name], name) for name in LANDMARK_NAMES)


def _region(raw: Any) -> Region:
    if not isinstance(raw, dict):
        raise ValueError(f"a region is an object, got {raw!r}")
    x0, y0, x1, y1 = (_whole(raw, name) for name in ("x0", "y0", "x1", "y1"))
    return Region(x0, y0, x1, y1, _spacing(raw.get("spacing_mm")), raw.get("shows_flow") is True)


def _acquisition(raw: Any) -> Acquisition:
    if not isinstance(raw, dict):
        raise ValueError(f"acquisition is an object, got {raw!r}")
    numbers = {name: _number(raw, name) for name in _ACQUIRED}
    return Acquisition(_text(raw, "probe", "unknown"), flipped=raw.get("flipped"), **numbers)


def _spacing(raw: Any) -> Spacing | None:
    return None if raw is None else _pair(raw, "spacing_mm")


def _pair(raw: Any, name: str) -> tuple[float, float]:
    if not isinstance(raw, list) or len(raw) != 2 or not all(isinstance(v, int | float) for v in raw):
        raise ValueError(f"{name} is two numbers, got {raw!r}")
    return float(raw[0]), float(raw[1])


def _text(raw: dict[str, Any], name: str, default: str | None = None) -> str:
    value = raw.get(name, default)
    if not isinstance(value, str):
        raise ValueError(f"{name} is a text, got {value!r}")
    return value


def _whole(raw: dict[str, Any], name: str, default: int | None = None) -> int:
    value = raw.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{name} is a whole number, got {value!r}")
    return value


def _number(raw: dict[str, Any], name: str) -> float | None:
    value = raw.get(name)
    if value is not None and (not isinstance(value, int | float) or isinstance(value, bool)):
        raise ValueError(f"{name} is a number or absent, got {value!r}")
    return _float(value)


def _list(raw: dict[str, Any], name: str) -> list[Any]:
    value = raw.get(name) or []
    if not isinstance(value, list):
        raise ValueError(f"{name} is a list, got {value!r}")
    return value


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)


def _inside(path: str) -> str:
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts or "\\" in path:
        raise ValueError(f"a record names files inside its own folder, got {path!r}")
    return path
