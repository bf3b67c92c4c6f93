"""What is done, on disk: a folder a study, or a portion of a large one, there whole or not at all.

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
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from datasets.inputs import Why
from datasets.whole import to_disk
from model.frame import Frame
from model.grade import GradeRules
from serving.archive.hips import Tally, hips_of
from serving.archive.plan import Study
from serving.archive.study import StudyRead
from serving.archive.tables import FAILURES, READINGS, HipRow, failures_table
from serving.deidentify.release import IMAGES
from serving.overlay import draw_overlay, encode_jpeg

_UNFINISHED: Final = "."
_AGAIN: Final = "again"
"""Marks a part whose study was not wholly within reach: it stands until the run is gone on with."""
_ASIDE: Final = "aside"
_ABOUT: Final = "about.json"
_HIPS: Final = "hips.json"
_SCHEMAS: Final = {"readings": READINGS, "failures": FAILURES}


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
        told = hashlib.sha256(f"{self._digest}|{study.name}|{study.portions > 1}".encode())
        for item in study.items:
            told.update(f"|{len(item.copies)}".encode())
            for one in item.inputs:
                told.update(f"|{one.name}|{one.size_bytes}|{one.changed_ns}".encode())
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
            for table, rows in (("readings", read.readings), ("failures", failures_table(read.failures))):
                pq.write_table(rows, unfinished / f"{table}.parquet", compression="zstd")
            (unfinished / _HIPS).write_text(json.dumps([hip.as_json() for hip in read.hips]))
            for shown in read.deciding:
                picture = Frame(draw_overlay(shown.frame, shown.reading))
                (unfinished / _picture(shown.place)).write_bytes(encode_jpeg(picture))
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
        """A table's rows, part after part: "readings" or "failures"."""
        for name in names:
            yield pq.read_table(self.folder / name / f"{table}.parquet", schema=_SCHEMAS[table])

    def hips(self, studies: dict[str, Study], rules: GradeRules) -> Iterator[tuple[HipRow, Path | None]]:
        """The hips of those that are done, each judged over all portions of its study, and the frame that decided it
        drawn, where one did.
        """
        done = (name for name in studies if self.has(name))
        for _, names in groupby(done, lambda name: studies[name].name):
            portions = tuple(names)
            for hip in hips_of((one for name in portions for one in self._tallies(name)), rules):
                yield hip, self._drawn(hip, portions)

    def _tallies(self, name: str) -> list[Tally]:
        return [Tally.from_json(told) for told in json.loads((self.folder / name / _HIPS).read_text())]

    def _drawn(self, hip: HipRow, names: Iterable[str]) -> Path | None:
        if hip.deciding_source is None or hip.deciding_frame is None:
            return None
        picture = _picture((hip.deciding_source, hip.deciding_frame))
        return next((path for name in names if (path := self.folder / name / picture).is_file()), None)

    def results(self, name: str, kind: str) -> tuple[Path, ...]:
        """The DICOM objects of a kind that a study gave."""
        return tuple(sorted((self.folder / name / kind).glob("*.dcm")))

    def is_empty(self) -> bool:
        """Whether no study was ever done, or all are forgotten."""
        return not any(_finished(folder) for folder in (self.folder, self.aside))

    def line_up(self, studies: dict[str, Study], inputs: Collection[str]) -> Changes:
        """Brings what lies here in line with a plan, by the names of its parts; `inputs` are all of its archive's.

        What the plan does not name goes aside, and comes back where it names it again. Of a study only what was put
        aside last is kept there, and what holds a file that the archive has lost. What was not wholly within reach is
        dropped, to be tried again.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in self.folder.glob(f"{_UNFINISHED}*"):
            if path.is_dir():
                shutil.rmtree(path)
        unnamed = [path for path in _finished(self.folder) if path.name not in studies]
        planned = {study.name for study in studies.values()}
        told = [_about(path) for path in unnamed]
        for path in unnamed:
            _move(path, self.aside / path.name)
        for name in studies:
            if not self.has(name) and (self.aside / name).is_dir():
                _move(self.aside / name, self.folder / name)
        self._drop_older({path.name: one["study"] for path, one in zip(unnamed, told, strict=True)}, inputs)
        again = [path for path in _finished(self.folder) if (path / _AGAIN).exists()]
        for path in again:
            shutil.rmtree(path)
        return Changes(
            len({one["study"] for one in told if one["study"] in planned and one["digest"] == self._digest}),
            len({one["study"] for one in told if one["files"] and one["study"] not in planned}),
            len(again),
        )

    def _drop_older(self, put_aside: dict[str, str], inputs: Collection[str]) -> None:
        """Of the studies of which parts, by name, were put aside now, what lay there before, unless a file is lost."""
        if not put_aside:
            return
        studies, there = set(put_aside.values()), frozenset(inputs)
        for path in _finished(self.aside):
            about = _about(path)
            if path.name not in put_aside and about["study"] in studies and there.issuperset(about["files"]):
                shutil.rmtree(path)

    def kept(self) -> tuple[int, int]:
        """How many parts lie aside, and how many bytes they take."""
        files = (file.stat().st_size for file in self.aside.rglob("*") if file.is_file())
        return len(_finished(self.aside)), sum(files)

    def missing(self, names: Collection[str]) -> list[str]:
        """The files that were read once, lie aside, and are not among an archive's names now."""
        once = {name for path in _finished(self.aside) for name in _about(path)["files"]}
        return sorted(once.difference(names))

    def forget(self) -> None:
        """Drops what lies aside."""
        shutil.rmtree(self.aside, ignore_errors=True)


def _picture(place: tuple[str, int]) -> str:
    """What a drawn frame is called."""
    return f"{hashlib.sha256(f'{place[0]}|{place[1]}'.encode()).hexdigest()[:16]}.jpg"


def _finished(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*") if path.is_dir() and not path.name.startswith(_UNFINISHED)]


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
