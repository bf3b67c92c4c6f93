"""What is done, on disk: a folder a study, there whole or not at all.

A part's name is made from everything its content depends on: network, rules, settings, programs, and the study's files
with their sizes and dates. A part that has the right name is therefore right, whoever wrote it and when. One that the
archive as it is now does not name lies aside until it is named again, or forgotten.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from datasets.inputs import Why
from datasets.whole import to_disk
from model.frame import Frame
from serving.archive.plan import Study
from serving.archive.study import StudyRead
from serving.archive.tables import FAILURES, HIPS, READINGS, failures_table, hips_table
from serving.deidentify.release import IMAGES
from serving.overlay import draw_overlay, encode_jpeg

_UNFINISHED: Final = "."
_AGAIN: Final = "again"
"""Marks a part whose study was not wholly within reach: it stands until the run is gone on with."""
_ASIDE: Final = "aside"
_ABOUT: Final = "about.json"
_SCHEMAS: Final = {"readings": READINGS, "hips": HIPS, "failures": FAILURES}


@dataclass(frozen=True, slots=True)
class Changes:
    """How many parts were not taken up: of studies changed, gone from the archive, not wholly within reach before."""

    changed: int
    gone: int
    again: int


class Parts:
    """The parts below a folder, and those set aside beside it."""

    def __init__(self, folder: Path, digest: str) -> None:
        self.folder, self.aside, self._digest = folder, folder.with_name(_ASIDE), digest

    def name(self, study: Study) -> str:
        """The part's name for a study's files as they are now."""
        told = hashlib.sha256(f"{self._digest}|{study.name}".encode())
        for item in study.items:
            told.update(f"|{item.input.name}|{item.input.size_bytes}|{item.input.changed_ns}".encode())
        return told.hexdigest()[:32]

    def has(self, name: str) -> bool:
        """Whether a study is done."""
        return (self.folder / name).is_dir()

    def write(self, study: Study, read: StudyRead) -> None:
        """A study's rows and pictures. Raises OSError where they cannot be written; nothing is left then."""
        name = self.name(study)
        unfinished = self.folder / f"{_UNFINISHED}{name}.{os.getpid()}"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
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
            about = {
                "study": study.name, "digest": self._digest, "files": [item.input.name for item in study.items],
            }  # fmt: skip
            (unfinished / _ABOUT).write_text(json.dumps(about))
            for file in (*unfinished.rglob("*"), unfinished):
                to_disk(file)
            if not self.has(name):
                unfinished.rename(self.folder / name)
                to_disk(self.folder)
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

    def is_empty(self) -> bool:
        """Whether no study was ever done, or all are forgotten."""
        return not any(_finished(folder) for folder in (self.folder, self.aside))

    def line_up(self, studies: dict[str, Study]) -> Changes:
        """Brings what lies here in line with a plan, by the names of its parts.

        What the plan does not name goes aside, and comes back where it names it again; what was not wholly within
        reach is dropped, to be tried again.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in self.folder.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(path)
        unnamed = [path for path in _finished(self.folder) if path.name not in studies]
        planned = {study.name for study in studies.values()}
        told = [_about(path) for path in unnamed]
        for path in unnamed:
            _move(path, self.aside / path.name)
        for name in studies:
            if not self.has(name) and (self.aside / name).is_dir():
                _move(self.aside / name, self.folder / name)
        again = [path for path in _finished(self.folder) if (path / _AGAIN).exists()]
        for path in again:
            shutil.rmtree(path)
        return Changes(
            sum(one["study"] in planned and one["digest"] == self._digest for one in told),
            sum(bool(one["files"]) and one["study"] not in planned for one in told),
            len(again),
        )

    def missing(self, names: Collection[str]) -> list[str]:
        """The files that were read once, lie aside, and are not among an archive's names now."""
        once = {name for path in _finished(self.aside) for name in _about(path)["files"]}
        return sorted(once.difference(names))

    def forget(self) -> None:
        """Drops what lies aside."""
        shutil.rmtree(self.aside, ignore_errors=True)


def _finished(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*") if not path.name.startswith(_UNFINISHED)]


def _about(part: Path) -> dict[str, Any]:
    """Of what study and settings a part is; nothing of those that older versions wrote."""
    try:
        return json.loads((part / _ABOUT).read_text())  # type: ignore[no-any-return]
    except FileNotFoundError:
        return {"study": "", "digest": "", "files": []}


def _move(path: Path, other: Path) -> None:
    other.parent.mkdir(exist_ok=True)
    shutil.rmtree(other, ignore_errors=True)
    path.rename(other)
