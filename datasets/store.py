"""The dataset on disk: `dataset.json`, `records.jsonl`, `frames/` and `masks/`, as the annotation protocol says.

write_store(samples, folder, provenance="...", licence="...")
store = open_store(folder); store.records[0].view; store.sample(0)
"""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import orjson

from datasets.check import Defect, check_store
from datasets.layout import DESCRIPTION, FRAMES, MASKS, RECORDS, describe, read_description
from datasets.palette import decode_frame, decode_mask, encode_frame, encode_mask
from datasets.record import Record, frame_of, landmarks_array, parse_record, record_line, record_of
from datasets.sample import Sample, Truth
from datasets.whole import unfinished, write_whole

__all__ = ["Defect", "Store", "check_store", "open_store", "write_store"]


@dataclass(frozen=True, slots=True)
class Store:
    """A dataset on disk, its records in memory and its pictures read one by one."""

    folder: Path
    records: tuple[Record, ...]
    provenance: str
    licence: str

    def __len__(self) -> int:
        return len(self.records)

    def sample(self, i: int) -> Sample:
        """The i-th labelled frame. Raises ValueError where its pictures are missing, broken or of another size."""
        record = self.records[i]
        try:
            pixels = decode_frame((self.folder / record.file).read_bytes())
            mask = None if record.mask is None else decode_mask((self.folder / record.mask).read_bytes())
            truth = Truth(
                record.view,
                mask,
                landmarks_array(record),
                record.gsus,
                record.pdus,
                record.capsule_distance_mm,
                record.sagitta_mm,
                record.sagitta_ratio,
                record.flow_fraction,
                record.labelled,
                record.pointed,
            )
            who = (record.patient_id, record.study_id, record.reader_id)
            return Sample(frame_of(record, pixels), truth, *who, record.acquisition)
        except (OSError, ValueError) as error:
            raise ValueError(f"{self.folder / record.file}: {error}; run `hipsono data check` on the folder") from error


def write_store(samples: Iterable[Sample], folder: Path, *, provenance: str, licence: str) -> int:
    """Writes samples as they come and returns their number.

    The folder must be new or empty. Each file appears whole or not at all, and `dataset.json` comes last: a folder
    without it was cut short; after an error nothing is left. Raises FileExistsError for a folder in use, ValueError
    for what cannot be stored.
    """
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty: give a new folder, a dataset is written once")
    for name in (FRAMES, MASKS):
        (folder / name).mkdir(parents=True, exist_ok=True)
    count = 0
    try:
        with unfinished(folder / RECORDS) as partial, partial.open("wb") as lines:
            for count, sample in enumerate(samples, start=1):
                lines.write(record_line(_write_pictures(sample, folder, count - 1)))
    except BaseException:
        for name in (FRAMES, MASKS):
            shutil.rmtree(folder / name, ignore_errors=True)
        raise
    description = describe(provenance, licence, count)
    write_whole(folder / DESCRIPTION, orjson.dumps(description, option=orjson.OPT_INDENT_2))
    return count


def open_store(folder: Path) -> Store:
    """The dataset in a folder. Raises ValueError naming the file and line at fault."""
    description = read_description(folder)
    records = []
    with (folder / RECORDS).open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                records.append(parse_record(line))
            except ValueError as error:
                raise ValueError(f"{folder / RECORDS} line {number}: {error}") from error
    return Store(folder, tuple(records), str(description.get("provenance", "")), str(description.get("licence", "")))


def _write_pictures(sample: Sample, folder: Path, number: int) -> Record:
    file = f"{FRAMES}/{number:06d}.png"
    mask = None if sample.truth.mask is None else f"{MASKS}/{number:06d}.png"
    record = record_of(sample, file, mask)
    write_whole(folder / file, encode_frame(sample.frame.pixels))
    if mask is not None and sample.truth.mask is not None:
        write_whole(folder / mask, encode_mask(sample.truth.mask))
    return record
