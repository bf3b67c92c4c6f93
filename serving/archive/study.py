"""One study, or a portion -> a row a frame, a tally a hip, the frames that may decide it, what could not be read."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import pyarrow as pa
from pydicom.dataset import Dataset

from datasets.dicom import Identity, read_dicom
from datasets.files import FileKind, FrameOptions, read_frames
from datasets.inputs import Failure, Input, Why, failure_of
from model.anatomy import Laterality
from model.frame import Frame
from model.grade import GradeRules
from model.reading import Reader
from model.steps import CAREFUL
from serving.archive.hips import Deciding, Tally, add_up, tally_of
from serving.archive.plan import Item, Study, again
from serving.archive.results import FileResults, Result
from serving.archive.tables import FrameSource, ReadingRows
from serving.deidentify.clean import Cleaner, Identities, Withheld

_NOBODY: Final = Identity(*[""] * 8)
_NO_HEADER: Final = "a picture or video has no header to go by: it is neither read nor let out"


@dataclass(frozen=True, slots=True)
class StudyRead:
    """Everything of one study, or of a portion; `readings` a row a frame; `hips` tallies.

    `deciding` are the frames that decide its hips, of a portion those that may; `withheld` its files de-identified,
    where that is asked.
    """

    readings: pa.Table
    hips: tuple[Tally, ...]
    failures: tuple[Failure, ...]
    deciding: tuple[Deciding, ...]
    results: tuple[tuple[Result, Dataset], ...]
    withheld: tuple[Withheld, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of every study: what the caller knows of its frames, the grades' rules, objects for a PACS, and how
    many looks are taken at each frame.

    With `identities` every file is de-identified before it is read.
    """

    known: FrameOptions = field(default_factory=FrameOptions)
    rules: GradeRules = field(default_factory=GradeRules)
    results: frozenset[Result] = frozenset()
    identities: Identities | None = None
    looks: int = CAREFUL


@dataclass(frozen=True, slots=True)
class _By:
    """What reads."""

    reader: Reader
    asked: Asked
    cleaner: Cleaner | None


@dataclass(frozen=True, slots=True)
class _Opened:
    """A file to be read: under which names it is told, and where its bytes are."""

    study: str
    name: str
    source: Path | bytes


@dataclass(slots=True, eq=False)
class _Gathered:
    """What has been read so far, of a file or of several; `frames` may decide a hip."""

    rows: ReadingRows = field(default_factory=ReadingRows)
    hips: dict[Laterality, Tally] = field(default_factory=dict)
    frames: dict[tuple[str, int], Deciding] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    results: list[tuple[Result, Dataset]] = field(default_factory=list)
    withheld: list[Withheld] = field(default_factory=list)
    count: int = 0
    is_whole: bool = True

    def see(self, seen: Deciding) -> None:
        """One more frame."""
        self.rows.add(seen.source, seen.reading)
        self.count += 1
        self._judge((tally_of(seen),), {seen.place: seen})

    def add(self, later: "_Gathered") -> None:
        """What was read of a file."""
        self.rows.extend(later.rows)
        self.results += later.results
        self.withheld += later.withheld
        self._judge(later.hips.values(), later.frames)

    def _judge(self, hips: Iterable[Tally], frames: dict[tuple[str, int], Deciding]) -> None:
        add_up(self.hips, hips)
        places = {one.place for hip in self.hips.values() for one in hip.shown.values()}
        self.frames = {place: one for place, one in (self.frames | frames).items() if place in places}


def read_study(study: Study, reader: Reader, asked: Asked, cleaner: Cleaner | None = None) -> StudyRead:
    """Reads every frame of every file. Of one that cannot be read to its end a copy is read, where there is one.

    Without a whole copy it is a failure, and its frames until then stay. With a cleaner, what is read and told of is
    each file's de-identified twin; failures keep the originals' names.
    """
    read, by = _Gathered(), _By(reader, asked, cleaner)
    for item in study.items:
        tried = _tried(study.name, item, by)
        best = max(tried, key=lambda one: (one.is_whole, one.count))
        read.add(best)
        read.failures += _told(item, tried, best)
    hips = tuple(read.hips[side] for side in Laterality if side in read.hips)
    deciding = [hip.decided for hip in hips] if study.portions == 1 else [s for hip in hips for s in hip.shown.values()]
    shown = tuple(read.frames[one.place] for one in deciding if one is not None)
    return StudyRead(read.rows.table(), hips, tuple(read.failures), shown, tuple(read.results), tuple(read.withheld))


def _tried(study: str, item: Item, by: _By) -> list[_Gathered]:
    """The file and its copies read in turn, until one is whole."""
    tried: list[_Gathered] = []
    for copy in item.inputs:
        tried.append(_read_file(study, copy, item.kind, by))
        if tried[-1].is_whole:
            break
    return tried


def _told(item: Item, tried: list[_Gathered], best: _Gathered) -> list[Failure]:
    """What is told of a file and its copies, of which `best` is in the tables."""
    read = item.inputs[tried.index(best)]
    instead = f"; its copy {read.name} was read instead" if best.count else ""
    told = [
        failure if one is best else replace(failure, reason=failure.reason + instead)
        for one in tried
        for failure in one.failures
    ]
    return told + [again(copy, read) for copy in item.inputs[len(tried) :]]


def _read_file(study: str, one: Input, kind: FileKind, by: _By) -> _Gathered:
    """All that one file gives."""
    read, of_file = _Gathered(), FileResults(by.asked.results if kind is FileKind.DICOM else frozenset())
    try:
        opened = _Opened(study, one.name, one.source())
        if by.cleaner is not None:
            if kind is not FileKind.DICOM:
                read.failures.append(Failure(one.name, Why.NOT_DEIDENTIFIED, _NO_HEADER))
                return read
            read.withheld.append(by.cleaner.clean(opened.source, one.name))
            opened = _twin(read.withheld[-1])
        identity, frames = _frames(kind, opened)
        for known, reading in of_file.read(map(by.asked.known.apply, frames), by.reader):
            read.see(Deciding(FrameSource(opened.study, opened.name, identity), known, reading))
        made = of_file.build(opened.source, by.reader.model)
        read.results += made.objects
        read.failures += [Failure(one.name, Why.NO_RESULT, problem) for problem in made.problems]
    except Exception as error:  # one poisoned file never stops an archive, whatever it does
        read.failures.append(failure_of(one.name, error))
        read.is_whole = False
    return read


def _twin(withheld: Withheld) -> _Opened:
    crossing = withheld.note.crossing
    return _Opened(crossing.study, f"{crossing.uid}.dcm", withheld.data)


def _frames(kind: FileKind, opened: _Opened) -> tuple[Identity, Iterator[Frame]]:
    if kind is FileKind.DICOM:
        cine = read_dicom(opened.source, opened.name)
        return cine.identity, cine.frames()
    return _NOBODY, read_frames(opened.source, name=opened.name)
