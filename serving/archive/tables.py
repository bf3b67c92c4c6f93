"""The archive's tables: their columns, their rows from values, and Parquet that is the same whenever its rows are."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from datasets.dicom import Identity
from datasets.inputs import Failure
from model.anatomy import Laterality
from model.reading import Reading
from serving.archive.quality import frame_quality

ROWS_A_GROUP: Final = 20_000
_ROWS_A_PACK: Final = 500
_POINT: Final = pa.struct(
    [("name", pa.string()), ("x", pa.float32()), ("y", pa.float32()), ("confidence", pa.float32()),
     ("spread_px", pa.float32())]
)  # fmt: skip
_STRUCTURE: Final = pa.struct(
    [("name", pa.string()), ("confidence", pa.float32()), ("area_px", pa.float32()), ("area_mm2", pa.float32())]
)
_MEASURE: Final = pa.struct(
    [("name", pa.string()), ("value", pa.float64()), ("unit", pa.string()), ("spread", pa.float64()),
     ("reason", pa.string())]
)  # fmt: skip
_CLEARANCE: Final = pa.struct([("structure", pa.string()), ("mm", pa.float64())])
_TARGET: Final = pa.struct(
    [("name", pa.string()), ("x", pa.float32()), ("y", pa.float32()), ("safety", pa.string()),
     ("clearances", pa.list_(_CLEARANCE)), ("reason", pa.string())]
)  # fmt: skip

READINGS: Final = pa.schema(
    [("study", pa.string()), ("source", pa.string()), ("frame", pa.int32()), ("patient_id", pa.string()),
     ("study_date", pa.string()), ("study_uid", pa.string()), ("series_uid", pa.string()),
     ("sop_instance_uid", pa.string()), ("reading_id", pa.string()), ("looks", pa.int8()),
     ("width", pa.int32()), ("height", pa.int32()),
     ("spacing_row_mm", pa.float64()), ("spacing_column_mm", pa.float64()), ("spacing_source", pa.string()),
     ("laterality", pa.string()), ("view", pa.string()), ("view_confidence", pa.float32()), ("quality", pa.float32()),
     ("gsus", pa.int8()), ("gsus_probabilities", pa.list_(pa.float32())), ("gsus_evidence", pa.string()),
     ("gsus_shape", pa.string()), ("gsus_reason", pa.string()), ("gsus_review", pa.string()),
     ("pdus_literal", pa.int8()), ("pdus_calibrated", pa.int8()), ("pdus_reason", pa.string()),
     ("combined", pa.int8()), ("combined_reason", pa.string()), ("structures", pa.list_(_STRUCTURE)),
     ("landmarks", pa.list_(_POINT)), ("targets", pa.list_(_TARGET)), ("measurements", pa.list_(_MEASURE)),
     ("warnings", pa.list_(pa.string()))]
)  # fmt: skip

HIPS: Final = pa.schema(
    [("study", pa.string()), ("patient_id", pa.string()), ("study_date", pa.string()), ("hip", pa.string()),
     ("age_years", pa.float64()), ("frames", pa.int32()), ("view_frames", pa.int32()), ("graded_frames", pa.int32()),
     ("gsus", pa.int8()), ("probabilities", pa.list_(pa.float64())), ("evidence", pa.string()),
     ("pdus_literal", pa.int8()), ("pdus_calibrated", pa.int8()), ("combined", pa.int8()), ("review", pa.string()),
     ("reason", pa.string()), ("capsule_distance_mm", pa.float64()), ("capsule_spread_mm", pa.float64()),
     ("capsule_percentile", pa.float64()), ("deciding_source", pa.string()), ("deciding_frame", pa.int32()),
     ("deciding_quality", pa.float32()), ("quality", pa.float32()), ("side_difference_mm", pa.float64())]
)  # fmt: skip

FAILURES: Final = pa.schema([("name", pa.string()), ("why", pa.string()), ("reason", pa.string())])


@dataclass(frozen=True, slots=True)
class FrameSource:
    """Where a frame comes from: its study, the file's name in the archive, and who it shows."""

    study: str
    source: str
    identity: Identity


@dataclass(frozen=True, slots=True)
class HipRow:
    """What a study says of one hip; `reason` why it has no grade.

    The deciding frame shows the hip's grade most clearly; distance and percentile are that frame's, flow is
    the highest of the frames that show it. `side_difference_mm` is this hip's distance less the other's.
    `quality`, 0 to 1, is the mean over the longitudinal frames, those that cannot be graded counted as 0;
    None without any.
    """

    study: str
    patient_id: str
    study_date: str
    hip: Laterality
    age_years: float | None
    frames: int
    view_frames: int
    graded_frames: int
    gsus: int | None
    probabilities: tuple[float, ...]
    evidence: str
    pdus_literal: int | None
    pdus_calibrated: int | None
    combined: int | None
    review: str | None
    reason: str | None
    capsule_distance_mm: float | None
    capsule_spread_mm: float | None
    capsule_percentile: float | None
    deciding_source: str | None
    deciding_frame: int | None
    deciding_quality: float | None = None
    quality: float | None = None
    side_difference_mm: float | None = None


class ReadingRows:
    """Collects a row a frame; what is collected takes little memory, however many frames come."""

    def __init__(self) -> None:
        self._tables: list[pa.Table] = []
        self._rows: list[dict[str, Any]] = []

    def add(self, source: FrameSource, reading: Reading) -> None:
        """A frame's row."""
        self._rows.append(_frame(source, reading))
        if len(self._rows) >= _ROWS_A_PACK:
            self._pack()

    def extend(self, later: "ReadingRows") -> None:
        """What another has collected."""
        if later._tables:
            self._pack()
            self._tables += later._tables
        self._rows += later._rows
        if len(self._rows) >= _ROWS_A_PACK:
            self._pack()

    def table(self) -> pa.Table:
        """All rows so far, in the order they came."""
        self._pack()
        return pa.concat_tables([READINGS.empty_table(), *self._tables])

    def _pack(self) -> None:
        self._tables.append(pa.Table.from_pylist(self._rows, READINGS))
        self._rows = []


def hips_table(rows: Iterable[HipRow]) -> pa.Table:
    """A row a study and hip."""
    return pa.Table.from_pylist([asdict(row) | {"hip": str(row.hip)} for row in rows], HIPS)


def failures_table(rows: Iterable[Failure]) -> pa.Table:
    """A row an input that gave no frame, or not all."""
    return pa.Table.from_pylist([asdict(row) | {"why": str(row.why)} for row in rows], FAILURES)


def write_table(tables: Iterator[pa.Table], schema: pa.Schema, path: Path) -> int:
    """Tables one after another as one file, in groups of ROWS_A_GROUP rows whatever the tables' sizes; how many rows.

    Only one group is held in memory.
    """
    count = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for group in _regrouped(tables, schema):
            writer.write_table(group, row_group_size=ROWS_A_GROUP)
            count += group.num_rows
    return count


def _regrouped(tables: Iterator[pa.Table], schema: pa.Schema) -> Iterator[pa.Table]:
    held = schema.empty_table()
    for table in tables:
        held = pa.concat_tables([held, table])
        while held.num_rows >= ROWS_A_GROUP:
            yield held.slice(0, ROWS_A_GROUP).combine_chunks()
            held = held.slice(ROWS_A_GROUP)
    if held.num_rows:
        yield held.combine_chunks()


def _frame(source: FrameSource, reading: Reading) -> dict[str, Any]:
    identity = source.identity
    spacing = reading.frame.spacing_mm or (None, None)
    return {
        "study": source.study, "source": source.source, "frame": reading.frame.index, "patient_id": identity.patient_id,
        "study_date": identity.study_date, "study_uid": identity.study_uid, "series_uid": identity.series_uid,
        "sop_instance_uid": identity.sop_instance_uid, "reading_id": reading.id, "looks": reading.looks,
        "width": reading.frame.width, "height": reading.frame.height,
        "spacing_row_mm": spacing[0], "spacing_column_mm": spacing[1], "spacing_source": reading.frame.spacing_source,
        "laterality": str(reading.frame.laterality), "view": str(reading.view.name),
        "view_confidence": reading.view.confidence, "quality": frame_quality(reading),
        "warnings": list(reading.warnings),
    } | _grades(reading) | _findings(reading)  # fmt: skip


def _grades(reading: Reading) -> dict[str, Any]:
    gsus, pdus, combined = reading.solar.gsus, reading.solar.pdus, reading.solar.combined
    return {
        "gsus": gsus.grade, "gsus_probabilities": list(gsus.probabilities), "gsus_evidence": gsus.evidence or None,
        "gsus_shape": gsus.shape, "gsus_reason": gsus.reason, "gsus_review": gsus.review,
        "pdus_literal": pdus.literal, "pdus_calibrated": pdus.calibrated, "pdus_reason": pdus.reason,
        "combined": combined.grade, "combined_reason": combined.reason,
    }  # fmt: skip


def _findings(reading: Reading) -> dict[str, Any]:
    return {
        "structures": [_only(found, "name", "confidence", "area_px", "area_mm2") for found in reading.structures],
        "landmarks": [_only(point, "name", "x", "y", "confidence", "spread_px") for point in reading.landmarks],
        "targets": [
            _only(target, "name", "x", "y", "safety", "reason")
            | {"clearances": [{"structure": c.structure, "mm": c.distance_mm} for c in target.clearances]}
            for target in reading.targets
        ],
        "measurements": [_only(one, "name", "value", "unit", "spread", "reason") for one in reading.measurements],
    }


def _only(value: object, *names: str) -> dict[str, Any]:
    return {name: getattr(value, name) for name in names}
