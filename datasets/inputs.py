"""What a person calls an archive -> the files in it: a folder of any depth, a zip, what a DICOMDIR names, one file.

for one in list_inputs(Path("archive")): ...

What cannot be opened is handed over as a Failure like everything else that gives no frame; nothing is passed by.
"""

import os
import stat
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

import pydicom
from pydicom.uid import MediaStorageDirectoryStorage

from datasets.files import HEAD_BYTES
from datasets.picture import OutOfReach, UnreadableFile

MAX_MEMBER_BYTES: Final = 8 << 30
_DICOMDIR: Final = "DICOMDIR"
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")
_PACKED: Final = (
    *_ZIP,
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ\0",
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!\x1a\x07",
    b"\x28\xb5\x2f\xfd",
)
_OFFICE: Final = (b"[Content_Types].xml", b"mimetype", b"META-INF/")
"""How the first member of a document or program is called that is packed as a zip: it holds no studies."""


class Why(StrEnum):
    """Why an input gave no frame, or not all that was asked of it."""

    NOT_A_PICTURE = "not a picture"
    NOT_ULTRASOUND = "not ultrasound"
    DUPLICATE = "duplicate"
    UNREADABLE = "unreadable"
    MISSING = "missing"
    OUT_OF_REACH = "out of reach"
    NO_RESULT = "no result"
    NOT_DEIDENTIFIED = "not de-identified"
    CRASHED = "crashed"


EXPECTED: Final = frozenset({Why.NOT_A_PICTURE, Why.NOT_ULTRASOUND, Why.DUPLICATE})
"""Why an input may give no frame without anything being wrong with it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An input without a frame, and what to do about it where something can be done."""

    name: str
    why: Why
    reason: str


def failure_of(name: str, error: Exception) -> Failure:
    """What an error while an input was looked at or read says of it."""
    if isinstance(error, UnreadableFile) and not isinstance(error, OutOfReach):
        return Failure(name, Why.UNREADABLE, f"{error.problem}; {error.remedy}")
    if isinstance(error, OutOfReach | OSError):
        return Failure(name, Why.OUT_OF_REACH, f"{error}; --resume tries it again")
    return Failure(name, Why.UNREADABLE, f"{type(error).__name__}: {error}")


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of an instance before it is fetched."""

    study_uid: str
    sop_class_uid: str
    sop_uid: str
    modality: str
    manufacturer: str
    frames: int


@dataclass(frozen=True, slots=True)
class Input(ABC):
    """Something to be read. `name` is what tables call it; size and date tell whether it has changed since."""

    name: str
    size_bytes: int
    changed_ns: int

    @abstractmethod
    def source(self) -> Path | bytes:
        """A path, or the content. Raises OSError or BadZipFile where it cannot be had."""

    @abstractmethod
    def head(self) -> bytes:
        """Its first bytes, by which its kind is told."""

    @property
    def told(self) -> Told | None:
        """What a server has said of it; None where its header must be read."""
        return None


@dataclass(frozen=True, slots=True)
class File(Input):
    """A file; its name is its path in the archive."""

    path: Path

    def source(self) -> Path:
        return self.path

    def head(self) -> bytes:
        with self.path.open("rb") as file:
            return file.read(HEAD_BYTES)


@dataclass(frozen=True, slots=True)
class Member(Input):
    """A zip's member; its name is the zip's, "!", and its own."""

    archive: Path
    member: str

    def source(self) -> bytes:
        return _opened(self.archive, self.changed_ns).read(self.member)

    def head(self) -> bytes:
        with _opened(self.archive, self.changed_ns).open(self.member) as file:
            return file.read(HEAD_BYTES)


@lru_cache(maxsize=4)
def _opened(path: Path, changed_ns: int) -> zipfile.ZipFile:
    """A zip kept open: its directory is long to read where it has many members. `changed_ns` tells a new file apart."""
    del changed_ns
    return zipfile.ZipFile(path)


def list_inputs(archive: Path) -> Iterator[File | Member | Failure]:
    """Every file, sorted by path; linked folders are followed, each folder once, whatever leads there.

    Raises FileNotFoundError where the archive is not there.
    """
    if not archive.exists():
        raise FileNotFoundError(f"no archive at {archive}: give a folder, a zip, a DICOMDIR or a file")
    if archive.is_dir():
        yield from _below(archive)
    elif is_directory_record(archive):
        yield from _named_by(archive, archive.name, with_files=True)
    else:
        yield from _file(archive, archive.name)


def _below(archive: Path) -> Iterator[File | Member | Failure]:
    first_to: dict[str, str] = {}
    waiting = [("", archive)]
    while waiting:
        name, path = waiting.pop()
        if not os.path.isdir(path):  # Path.is_dir raises where rights are missing
            yield from _file(path, name)
            if path.name.upper() == _DICOMDIR and is_directory_record(path):
                yield from _named_by(path, name, with_files=False)
            continue
        earlier = first_to.setdefault(os.path.realpath(path), name)
        if earlier != name:
            yield Failure(name, Why.DUPLICATE, f"a link to the same folder as {earlier or 'the archive itself'}")
            continue
        try:
            below = sorted(os.listdir(path), reverse=True)
        except OSError as error:
            yield _unlisted(name or path.name, error)
            continue
        waiting += [(f"{name}/{_as_text(one)}" if name else _as_text(one), path / one) for one in below]


def _unlisted(name: str, error: OSError) -> Failure:
    if isinstance(error, PermissionError):
        return Failure(name, Why.UNREADABLE, f"the folder cannot be listed: {error.strerror}; check its rights")
    return failure_of(name, error)


def _as_text(name: str) -> str:
    """A file's name as text: tables know no bytes that are none."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _file(path: Path, name: str) -> Iterator[File | Member | Failure]:
    try:
        told = path.stat()
        if not stat.S_ISREG(told.st_mode):
            yield Failure(name, Why.NOT_A_PICTURE, "a device or a pipe")
            return
        with path.open("rb") as file:
            zipped = file.read(4) in _ZIP
    except FileNotFoundError:
        yield Failure(name, Why.MISSING, f"{'a link to a file that' if path.is_symlink() else 'it'} is not there")
        return
    except PermissionError as error:
        yield Failure(name, Why.UNREADABLE, f"it cannot be opened: {error.strerror}; check its rights")
        return
    except OSError as error:
        yield failure_of(name, error)
        return
    if zipped:
        yield from _members(path, name)
    else:
        yield File(name, told.st_size, told.st_mtime_ns, path)


def _members(path: Path, name: str) -> Iterator[Member | Failure]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [one for one in archive.infolist() if not one.is_dir()]
    except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
        yield Failure(name, Why.UNREADABLE, f"the zip cannot be opened: {error}; pack it again")
        return
    changed = path.stat().st_mtime_ns
    for member in sorted(members, key=lambda one: one.filename):
        called = f"{name}!{member.filename}"
        if member.flag_bits & 1:
            yield Failure(called, Why.UNREADABLE, "it is encrypted: unpack the zip with its password")
        elif member.file_size > MAX_MEMBER_BYTES:
            yield Failure(called, Why.UNREADABLE, f"it unpacks to {member.file_size} bytes: unpack the zip first")
        else:
            yield Member(called, member.file_size, changed, path, member.filename)


def is_packed(head: bytes) -> bool:
    """Whether files are packed in a file that begins so: zip, tar, 7z, rar, gzip, bzip2, xz or zstd; no document."""
    is_document = head.startswith(_ZIP) and head[30:].startswith(_OFFICE)
    return (head.startswith(_PACKED) or head[257:262] == b"ustar") and not is_document


def is_directory_record(path: Path) -> bool:
    """Whether a DICOM file is a DICOMDIR: it names other files and shows nothing."""
    try:
        meta = pydicom.filereader.read_file_meta_info(path)
    except Exception:  # pydicom raises many kinds on what is no DICOM
        return False
    return str(meta.get("MediaStorageSOPClassUID")) == MediaStorageDirectoryStorage


def _named_by(directory: Path, name: str, with_files: bool) -> Iterator[File | Member | Failure]:
    """What a DICOMDIR names and is not there, and the files beside it where nobody else lists them."""
    above = name[: -len(directory.name)]
    try:
        records = pydicom.dcmread(directory).get("DirectoryRecordSequence") or ()
        named = sorted({_path_of(record) for record in records if record.get("ReferencedFileID")})
    except Exception as error:  # pydicom raises many kinds on what is broken
        yield failure_of(name, error)
        return
    if not named:
        yield Failure(name, Why.UNREADABLE, "the DICOMDIR names no file: give the folder it lies in")
    spellings = cache(_spellings)
    for parts in named:
        path = _found(directory.parent, parts, spellings)
        if path is None:
            reason = "the DICOMDIR names it, but it is not there: copy the whole medium"
            yield Failure(above + "/".join(parts), Why.MISSING, reason)
        elif with_files:
            yield from _file(path, above + Path(os.path.relpath(path, directory.parent)).as_posix())


def _found(folder: Path, parts: tuple[str, ...], spellings: Callable[[Path], dict[str, Path]]) -> Path | None:
    """A file below a folder as the disk spells it: some mounts of a medium change its case, or add a version."""
    path: Path | None = folder
    for part in parts:
        if path is None:
            return None
        exact = path / part
        path = exact if exact.exists() else spellings(path).get(_spelt(part))
    is_within = path is not None and path.is_file() and path.resolve().is_relative_to(folder.resolve())
    return path if is_within else None


def _spellings(folder: Path) -> dict[str, Path]:
    return {_spelt(path.name): path for path in folder.iterdir()} if folder.is_dir() else {}


def _spelt(name: str) -> str:
    return name.upper().partition(";")[0].rstrip(".")


def _path_of(record: pydicom.Dataset) -> tuple[str, ...]:
    told = record.ReferencedFileID
    return (str(told),) if isinstance(told, str) else tuple(str(part) for part in told)
