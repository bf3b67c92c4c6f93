"""What `hipsono grade` wrote -> a value a hip, by study, and what read them."""

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from model.anatomy import Laterality
from serving.archive.tables import HIPS

_WANTED: Final = (
    "study", "patient_id", "study_date", "hip", "gsus", "pdus_calibrated", "review", "reason", "capsule_distance_mm",
    "capsule_percentile", "side_difference_mm",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class HipReading:
    """What the machine says of a hip of a study; `reason` why it has no grade, `review` what a person should see."""

    hip: Laterality
    gsus: int | None
    pdus: int | None
    review: str | None
    reason: str | None
    capsule_distance_mm: float | None
    capsule_percentile: float | None
    side_difference_mm: float | None


@dataclass(frozen=True, slots=True)
class Study:
    """The hips of one study; `study_date` YYYYMMDD, empty where files do not say."""

    study: str
    patient_id: str
    study_date: str
    hips: tuple[HipReading, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """What made the readings; empty where the folder does not say."""

    model: str = ""
    trained_on: str = ""
    finished: bool = True


@dataclass(frozen=True, slots=True)
class Readings:
    """All studies of a folder, and what read them."""

    studies: tuple[Study, ...]
    origin: Origin


def read_readings(folder: Path) -> Readings:
    """The hips in a folder of `hipsono grade`. Raises ValueError where it is none."""
    path = folder / "hips.parquet"
    if not path.is_file():
        raise ValueError(f"no hips.parquet in {folder}: expected a folder that `hipsono grade ARCHIVE -o OUT` wrote")
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path} cannot be read as Parquet: {error}") from None
    absent = [name for name in _WANTED if name not in table.column_names]
    if absent:
        raise ValueError(f"{path} has no column {', '.join(absent)}: grade the archive again with this version")
    schema = pa.schema([HIPS.field(name) for name in _WANTED])
    rows = table.select(list(_WANTED)).cast(schema).to_pylist()
    by_study: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_study[row["study"]].append(row)
    studies = tuple(_study(name, told) for name, told in sorted(by_study.items()))
    return Readings(studies, _origin(folder / "run.json"))


def _study(name: str, rows: list[dict[str, Any]]) -> Study:
    hips = tuple(
        HipReading(
            Laterality(row["hip"]), row["gsus"], row["pdus_calibrated"], row["review"], row["reason"],
            row["capsule_distance_mm"], row["capsule_percentile"], row["side_difference_mm"],
        )
        for row in rows
    )  # fmt: skip
    return Study(name, (rows[0]["patient_id"] or "").strip(), rows[0]["study_date"] or "", hips)


def _origin(path: Path) -> Origin:
    if not path.is_file():
        return Origin()
    try:
        told = json.loads(path.read_text())
        settings = told["settings"]
        model = f"{settings['model']['name']} {settings['model']['version']}, {settings['model']['sha256'][:12]}"
        return Origin(model, settings["trained_on"], bool(told["finished"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not what `hipsono grade` writes: {type(error).__name__} {error}") from None
