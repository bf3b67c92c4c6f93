"""OUT/run.json: of what archive and by what settings a run is; whether a folder may be taken, or gone on with."""

import hashlib
import json
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import cv2
import onnxruntime
from filelock import FileLock, Timeout

from datasets.whole import write_whole
from serving.about import VERSION
from serving.deidentify.pseudonyms import Pseudonyms
from serving.deidentify.release import PARTS, PRIVATE

RUN: Final = "run.json"
_LOCK: Final = ".lock"
_PACKAGES: Final = (
    "numpy", "scipy", "pydicom", "python-gdcm", "pylibjpeg", "pylibjpeg-openjpeg", "pylibjpeg-rle",
)  # fmt: skip


def programs() -> dict[str, str]:
    """The versions of everything that turns a file into a reading."""
    return {
        "hipsono": VERSION,
        "onnxruntime": onnxruntime.__version__,
        "opencv": cv2.__version__,
        "machine": platform.machine(),
        **{name: metadata.version(name) for name in _PACKAGES},
    }


@dataclass(frozen=True, slots=True)
class Begun:
    """What a run is begun with: of what archive, and everything but the files that a reading depends on."""

    archive: str
    settings: dict[str, Any]

    @property
    def digest(self) -> str:
        """Tells settings apart."""
        return hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()


def name_of(archive: str | Path, pseudonyms: Pseudonyms | None) -> str:
    """An archive's name wherever the call comes from, without a password; a pseudonym where names are not told."""
    if isinstance(archive, str) and "://" in archive:
        parts = urlsplit(archive)
        name = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    else:
        name = str(Path(archive).resolve())
    return name if pseudonyms is None else pseudonyms.uid(name)


def may_take(out: Path, begun: Begun, resume: bool, forget: bool, say: Callable[[str], None]) -> None:
    """Whether the folder is free, or holds this run. Raises ValueError where it does not, and says what has changed."""
    note = out / RUN
    _check_names(out, begun.settings["deidentified"] is not None)
    if not note.exists():
        if out.exists() and any(not _is_ours(path) for path in out.iterdir()):
            raise ValueError(f"{out} is not empty and holds no run: give a new folder")
        return
    if not resume:
        raise ValueError(f"{out} holds a run: add --resume to go on with it, or give another folder")
    try:
        told = json.loads(note.read_text())
        digest, key, archive = told["digest"], told["settings"].get("deidentified"), told.get("archive", begun.archive)
    except (ValueError, KeyError, TypeError, AttributeError):
        say(f"{note} cannot be read and is written anew: what was done by the same settings is taken up")
        return
    if key != begun.settings["deidentified"]:
        raise _other_names(out)
    if archive != begun.archive and not forget:
        raise ValueError(
            f"{out} holds a run of {archive}, not of {begun.archive}: give that archive or another folder, "
            "or add --forget where the one has taken the other's place"
        )
    if digest != begun.digest:
        say("the model, a setting or a version has changed: everything is read afresh, what was read is set aside")


@contextmanager
def alone_in(out: Path) -> Iterator[None]:
    """Keeps every other run out of the folder, however this one ends. Raises ValueError where one is at work there."""
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / _LOCK, timeout=0):
            yield
    except Timeout as error:
        raise ValueError(f"another run is at work in {out}: wait for its end, or stop it") from error


def write_note(out: Path, begun: Begun, outcome: dict[str, Any] | None) -> None:
    """Writes run.json; without an outcome the run goes on."""
    told = {
        "digest": begun.digest, "finished": outcome is not None, "archive": begun.archive,
        "settings": begun.settings, "outcome": outcome,
    }  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / RUN, json.dumps(told, indent=1, default=str))


def _check_names(out: Path, deidentify: bool) -> None:
    """A folder holds the originals' names or others: never both."""
    if deidentify and (out / PARTS).is_dir():
        raise ValueError(f"{out} holds a run with the originals' names: give another folder for --deidentify")
    if not deidentify and (out / PRIVATE / PARTS).is_dir():
        raise _other_names(out)


def _other_names(out: Path) -> ValueError:
    return ValueError(f"{out} holds a de-identified run: add --deidentify (and the same --identity), or give another")


def _is_ours(path: Path) -> bool:
    return path.name[0] == "." or path.name == PRIVATE
