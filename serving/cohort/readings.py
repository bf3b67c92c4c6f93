"""What `hipsono grade` wrote -> a value a hip, by study, and what read them."""

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from datasets.dicom_header import read_date
from model.anatomy import Laterality
from model.cine import CineGrade
from model.grade import Gsus
from serving.archive.tables import HIPS

_WANTED: Final = (
    "study", "patient_id", "study_date", "hip", "gsus", "pdus_calibrated", "review", "reason", "capsule_distance_mm",
    "capsule_percentile", "side_difference_mm",
)  # fmt: skip
_SINCE: Final = "quality"
"""A column that older folders lack: their hips are told without it."""


@dataclass(frozen=True, slots=True)
class HipReading:
    """What the machine says of a hip of a study; `reason` why it has no grade, `review` what a person should see.

    `quality` 0 to 1. `learned` is the grade of a hip that has none because all its frames ask for review.
    """

    hip: Laterality
    gsus: int | None
    pdus: int | None
    review: str | None
    reason: str | None
    capsule_distance_mm: float | None
    capsule_percentile: float | None
    side_difference_mm: float | None
    quality: float | None = None
    learned: int | None = None

    @property
    def solar_with_review(self) -> int | None:
        """The grade, or the learned one where there is none."""
        return self.learned if self.gsus is None else self.gsus


@dataclass(frozen=True, slots=True)
class Study:
    """The hips of one study; `study_date` as the files have it, empty where they do not say."""

    study: str
    patient_id: str
    study_date: str
    hips: tuple[HipReading, ...]

    @property
    def day(self) -> date | None:
        """The date; None where it is none."""
        return read_date(self.study_date)


@dataclass(frozen=True, slots=True)
class Origin:
    """What made the readings; empty where the folder does not say. `deidentified` tells the key of their names."""

    model: str = ""
    trained_on: str = ""
    finished: bool = True
    deidentified: str = ""


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
    there = [name for name in (*_WANTED, _SINCE) if name in table.column_names]
    rows = table.select(there).cast(pa.schema([HIPS.field(name) for name in there])).to_pylist()
    by_study: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_study[row["study"]].append(row)
    learned = _learned(folder)
    studies = tuple(_study(name, told, learned) for name, told in sorted(by_study.items()))
    return Readings(studies, _origin(folder / "run.json"))


def _learned(folder: Path) -> dict[tuple[str, str], int]:
    """Of every hip with frames that ask for review the likeliest grade over them, as over the frames that do not."""
    path = folder / "readings.parquet"
    if not path.is_file() or "gsus_review" not in pq.read_schema(path).names:
        return {}
    under_review = pc.field("gsus").is_valid() & pc.field("gsus_review").is_valid()
    columns = ["study", "laterality", "gsus", "gsus_probabilities"]
    grades: defaultdict[tuple[str, str], CineGrade] = defaultdict(CineGrade)
    for index, row in enumerate(pq.read_table(path, columns=columns, filters=under_review).to_pylist()):
        hip = row["study"], row["laterality"]
        grades[hip] = grades[hip].seen(Gsus(row["gsus"], tuple(row["gsus_probabilities"]), ""), index)
    return {hip: told.grade for hip, told in grades.items() if told.grade is not None}


def _study(name: str, rows: list[dict[str, Any]], learned: dict[tuple[str, str], int]) -> Study:
    hips = tuple(
        HipReading(
            Laterality(row["hip"]), row["gsus"], row["pdus_calibrated"], row["review"], row["reason"],
            row["capsule_distance_mm"], row["capsule_percentile"], row["side_difference_mm"],
            row.get(_SINCE), None if row["gsus"] is not None else learned.get((name, row["hip"])),
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
        deidentified = settings.get("deidentified") or ""
        return Origin(model, settings["trained_on"], bool(told["finished"]), deidentified)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not what `hipsono grade` writes: {type(error).__name__} {error}") from None
