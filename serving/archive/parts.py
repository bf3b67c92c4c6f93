"""What is done, on disk: a folder a study, there whole or not at all.

A part's name is made from everything its content depends on: network, rules, settings, and the study's files with
their sizes and dates. A part that has the right name is therefore right, whoever wrote it and when.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from datasets.inputs import Why
from model.frame import Frame
from serving.archive.plan import Study
from serving.archive.study import StudyRead
from serving.archive.tables import FAILURES, HIPS, READINGS, failures_table, hips_table
from serving.deidentify.release import IMAGES
from serving.overlay import draw_overlay, encode_jpeg

_UNFINISHED: Final = "."
_AGAIN: Final = "again"
"""Marks a part whose study was not wholly within reach: it stands until the run is gone on with."""
_SCHEMAS: Final = {"readings": READINGS, "hips": HIPS, "failures": FAILURES}


class Parts:
    """The parts below a folder."""

    def __init__(self, folder: Path, digest: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self._digest = folder, digest

    def name(self, study: Study) -> str:
        """The part's name for a study's files as they are now."""
        told = hashlib.sha256(f"{self._digest}|{study.name}".encode())
        for item in study.items:
            told.update(f"|{item.input.name}|{item.input.size_bytes}|{item.input.changed_ns}".encode())
        return told.hexdigest()[:32]

    def has(self, name: str) -> bool:
        """Whether a study is done."""
        return (self.folder / name).is_dir()

    def write(self, name: str, read: StudyRead) -> None:
        """A study's rows and pictures. Raises OSError where they cannot be written; nothing is left then."""
        unfinished = self.folder / f"{_UNFINISHED}{name}.{os.getpid()}"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        try:
            tables = {
                "readings": read.readings, "hips": hips_table(read.hips), "failures": failures_table(read.failures),
            }  # fmt: skip
            for table, rows in tables.items():
                pq.write_table(rows, unfinished / f"{table}.parquet", compression="zstd")
            for shown in read.deciding:
                picture = Frame(draw_overlay(shown.frame, shown.reading))
                (unfinished / f"{shown.frame.laterality}.jpg").write_bytes(encode_jpeg(picture))
            for kind, result in read.results:
                (unfinished / kind).mkdir(exist_ok=True)
                result.save_as(unfinished / kind / f"{result.SOPInstanceUID}.dcm", enforce_file_format=True)
            for one in read.withheld:
                (unfinished / IMAGES).mkdir(exist_ok=True)
                (unfinished / IMAGES / f"{one.note.uid}.dcm").write_bytes(one.data)
                (unfinished / IMAGES / f"{one.note.uid}.json").write_text(json.dumps(one.note.as_json()))
            if any(one.why is Why.OUT_OF_REACH for one in read.failures):
                (unfinished / _AGAIN).touch()
            for file in unfinished.rglob("*"):
                _to_disk(file)
            if not self.has(name):
                unfinished.rename(self.folder / name)
                _to_disk(self.folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def rows(self, table: str, names: Iterable[str]) -> Iterator[pa.Table]:
        """A table's rows, part after part: "readings", "hips" or "failures"."""
        for name in names:
            yield pq.read_table(self.folder / name / f"{table}.parquet", schema=_SCHEMAS[table])

    def picture(self, name: str, hip: str) -> Path | None:
        """The drawn deciding frame of a hip; None without one."""
        path = self.folder / name / f"{hip}.jpg"
        return path if path.is_file() else None

    def results(self, name: str, kind: str) -> tuple[Path, ...]:
        """The DICOM objects of a kind that a study gave."""
        return tuple(sorted((self.folder / name / kind).glob("*.dcm")))

    def keep_only(self, names: frozenset[str]) -> int:
        """Drops parts of other settings, of files that are gone or have changed, and what is to be tried again.

        Gives how many there were, without those that were never finished.
        """
        dropped = [path for path in self.folder.iterdir() if path.name not in names or (path / _AGAIN).exists()]
        for path in dropped:
            shutil.rmtree(path)
        return sum(not path.name.startswith(_UNFINISHED) for path in dropped)


def _to_disk(path: Path) -> None:
    """Waits until a file or folder is on the disk: a part that survives a power cut is whole."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
