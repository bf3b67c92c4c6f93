"""What there is to read, study by study, before anything is decoded."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

from pydicom.uid import (
    MediaStorageDirectoryStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)

from datasets.dicom import read_dicom
from datasets.files import FileKind, kind_of
from datasets.inputs import Failure, Input, Told, Why, failure_of, is_directory_record, is_packed, list_inputs
from datasets.picture import UnreadableFile
from serving.dicom_out.origin import MAKER

ULTRASOUND: Final = frozenset({"US", "IVUS", "OT", ""})
"""Modalities that are read: ultrasound, and what does not say (frame grabbers and converted pictures are "other")."""

MAX_FRAMES: Final = 1_000
MAX_BYTES: Final = 256_000_000
"""Of one portion of a study, unless a single file has more: what is read in one go, and lost when it is cut off."""

_CAPTURES: Final = (SecondaryCaptureImageStorage, MultiFrameTrueColorSecondaryCaptureImageStorage)


@dataclass(frozen=True, slots=True)
class Item:
    """A file to be read. `sop_uid` is empty and `frames` 1 for a picture, 0 for a video, whose length is not known.

    `copies` hold the same instance, the largest first: they are read where the file turns out to be broken.
    """

    input: Input
    kind: FileKind
    sop_uid: str = ""
    frames: int = 1
    copies: tuple[Input, ...] = ()

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The file and its copies, in the order in which they are tried."""
        return (self.input, *self.copies)


@dataclass(frozen=True, slots=True)
class Study:
    """The files of a study: those of one Study Instance UID, or the pictures and videos of one folder.

    A large one is several in turn, of one name; `portions` tells how many. Its hips are judged over all of them.
    """

    name: str
    items: tuple[Item, ...]
    portions: int = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """Studies sorted by name, the portions of one in turn, and what gives no frame; copies apart from `unread`."""

    studies: tuple[Study, ...]
    unread: tuple[Failure, ...]

    @property
    def failures(self) -> tuple[Failure, ...]:
        """What gives no frame, as far as can be told before anything is read, sorted by name."""
        items = (item for study in self.studies for item in study.items)
        copies = [again(copy, item.input) for item in items for copy in item.copies]
        return tuple(sorted((*self.unread, *copies), key=lambda one: one.name))

    @property
    def line(self) -> str:
        """What is to be read, and how many inputs are not, by cause."""
        causes = Counter(one.why for one in self.failures)
        others = ", ".join(f"{count} {why}" for why, count in sorted(causes.items()))
        size = f"{self.size_bytes / 1e6:.0f} MB, {self.frames} frames"
        return f"{self.files} files of {len({study.name for study in self.studies})} studies, {size}" + (
            f"; beside them {others}" if others else ""
        )

    @property
    def files(self) -> int:
        return sum(len(study.items) for study in self.studies)

    @property
    def frames(self) -> int:
        return sum(item.frames for study in self.studies for item in study.items)

    @property
    def names(self) -> frozenset[str]:
        """Every input, whether it is read or not."""
        read = (one.name for study in self.studies for item in study.items for one in item.inputs)
        return frozenset(read) | {one.name for one in self.unread}

    @property
    def size_bytes(self) -> int:
        return sum(item.input.size_bytes for study in self.studies for item in study.items)


def make_plan(archive: str | Path, heard: Callable[[int], None] = lambda _: None) -> Plan:
    """Looks at every file's header; of one instance's copies the largest is read, since it may be the whole one.

    `heard` is told after each input how many there were.

    The archive is a path, or dicomweb://... Raises FileNotFoundError, or OSError where a server cannot be asked.
    """
    copies: dict[str, list[tuple[str, Item]]] = defaultdict(list)
    failures: list[Failure] = []
    for count, one in enumerate(_inputs(archive), start=1):
        heard(count)
        looked_at = one if isinstance(one, Failure) else _look_at(one)
        if isinstance(looked_at, Failure):
            failures.append(looked_at)
        else:
            _, item = looked_at
            copies[item.sop_uid or item.input.name].append(looked_at)
    studies: dict[str, list[Item]] = defaultdict(list)
    for alike in copies.values():
        study, kept = max(alike, key=lambda copy: copy[1].input.size_bytes)
        others = [item.input for _, item in alike if item is not kept]
        spare = sorted(others, key=lambda one: one.size_bytes, reverse=True)
        studies[study].append(replace(kept, copies=tuple(spare)))
    planned = tuple(portion for name in sorted(studies) for portion in _portions(name, studies[name]))
    return Plan(planned, tuple(failures))


def again(copy: Input, read: Input) -> Failure:
    """What is told of a copy that need not be read."""
    return Failure(copy.name, Why.DUPLICATE, f"the same instance as {read.name}")


def _portions(name: str, items: list[Item]) -> Iterator[Study]:
    """A study in as many goes as it takes to be read."""
    goes: list[list[Item]] = [[]]
    frames = size_bytes = 0
    for item in items:
        frames, size_bytes = frames + item.frames, size_bytes + item.input.size_bytes
        if goes[-1] and (frames > MAX_FRAMES or size_bytes > MAX_BYTES):
            goes.append([])
            frames, size_bytes = item.frames, item.input.size_bytes
        goes[-1].append(item)
    return (Study(name, tuple(go), len(goes)) for go in goes)


def _inputs(archive: str | Path) -> Iterator[Input | Failure]:
    if isinstance(archive, str) and "://" in archive:
        from datasets.dicomweb import list_remote

        return list_remote(archive)
    return list_inputs(Path(archive))


def _look_at(one: Input) -> tuple[str, Item] | Failure:
    """The study a file belongs to and what it is, by its header alone."""
    try:
        head = one.head()
        kind = kind_of(head)
        if one.size_bytes == 0 and one.told is None:
            return Failure(one.name, Why.UNREADABLE, "the file is empty: get it again from the archive")
        if kind is None and is_packed(head):
            return Failure(one.name, Why.UNREADABLE, "files are packed in it: unpack it where it lies")
        if kind is None:
            return Failure(one.name, Why.NOT_A_PICTURE, "it is no picture, DICOM file or video by its content")
        if kind is not FileKind.DICOM:
            return _folder_of(one), Item(one, kind, frames=0 if kind is FileKind.VIDEO else 1)
        return _look_at_dicom(one)
    except Exception as error:  # a zip's member fails in as many ways as there are compressions
        return failure_of(one.name, error)


def _look_at_dicom(one: Input) -> tuple[str, Item] | Failure:
    told = one.told or _header_of(one)
    if isinstance(told, Failure):
        return told
    if told.manufacturer == MAKER and told.sop_class_uid in _CAPTURES:
        return Failure(one.name, Why.NOT_ULTRASOUND, "an annotated picture that hipsono made")
    if told.modality not in ULTRASOUND:
        return Failure(one.name, Why.NOT_ULTRASOUND, f"its modality is {told.modality}")
    return told.study_uid or _folder_of(one), Item(one, FileKind.DICOM, told.sop_uid, told.frames)


def _header_of(one: Input) -> Told | Failure:
    source = one.source()
    try:
        cine = read_dicom(source, one.name)
    except UnreadableFile:
        if not (isinstance(source, Path) and is_directory_record(source)):
            raise
        reason = f"a DICOMDIR ({MediaStorageDirectoryStorage.name}) names other files"
        return Failure(one.name, Why.NOT_A_PICTURE, reason)
    identity = cine.identity
    return Told(
        identity.study_uid,
        identity.sop_class_uid,
        identity.sop_instance_uid,
        identity.modality,
        identity.manufacturer,
        len(cine),
    )


def _folder_of(one: Input) -> str:
    return PurePosixPath(one.name.replace("!", "/")).parent.as_posix()
