"""What may be given away: cleared files, with flags that are true by then, and what was made of them."""

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless

from datasets.whole import unfinished, write_whole
from serving.deidentify.clean import Crossing, Note
from serving.deidentify.decisions import Decision, Verdict, load_decisions
from serving.deidentify.header import CLEAN_PIXELS, code_item
from serving.deidentify.layouts import load_layouts
from serving.deidentify.pixels import Box, digest_of, pack

PRIVATE: Final = "private"
"""Below OUT: key, names, queue. Everything else there can be given away."""
IMAGES: Final = "images"
DECISIONS: Final = "decisions.jsonl"
KEY: Final = "key"
LAYOUTS: Final = "layouts.json"
CROSSWALK: Final = "crosswalk.csv"
PARTS: Final = "parts"
RELEASED: Final = "released"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A withheld file in the folder of its study, and what is known of it."""

    part: Path
    note: Note

    @property
    def path(self) -> Path:
        """The de-identified file."""
        return self.part / IMAGES / f"{self.note.uid}.dcm"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a withheld file stands: its picture, the last decision on it, and what is blanked in its layout."""

    waiting: Waiting
    last: Decision | None
    layout: tuple[Box, ...]

    @property
    def decision(self) -> Decision | None:
        """The last decision, if it is on the picture as it is now: of another one nobody has decided anything."""
        return self.last if self.last is not None and self.last.seen == self.waiting.note.picture else None

    @property
    def is_cleared(self) -> bool:
        """Whether it may be out."""
        return self.decision is not None and self.decision.verdict is Verdict.CLEARED

    @property
    def boxes(self) -> tuple[Box, ...]:
        """What is blanked: whatever was drawn in this file, on an older picture too, and what is in its layout."""
        return tuple(sorted({*(() if self.last is None else self.last.boxes), *self.layout}))

    @property
    def told(self) -> str:
        """What is written down once it is out: what it was made of. Where this has changed it is made again."""
        note = self.waiting.note
        return json.dumps({"part": self.waiting.part.name, "picture": note.picture, "boxes": self.boxes}) + "\n"


def list_withheld(out: Path) -> dict[str, Waiting]:
    """All de-identified files of a run by UID, decided or not. Raises FileNotFoundError where there was no such run."""
    parts = out / PRIVATE / PARTS
    if not parts.is_dir():
        raise FileNotFoundError(f"{out} holds no run of `hipsono grade --deidentify`")
    waiting = {}
    for told in sorted(parts.glob(f"[!.]*/{IMAGES}/*.json")):
        note = Note.from_json(json.loads(told.read_text()))
        if not note.picture:
            note = replace(note, picture=digest_of(pydicom.dcmread(told.with_suffix(".dcm"))))
        waiting[note.uid] = Waiting(told.parent.parent, note)
    return waiting


def standings(out: Path, withheld: dict[str, Waiting]) -> dict[str, Standing]:
    """Where withheld files stand by what is written down now, by UID."""
    decisions, layouts = load_decisions(out / PRIVATE / DECISIONS), load_layouts(out / PRIVATE / LAYOUTS)
    return {uid: Standing(one, decisions.get(uid), layouts.of(one.note.layout)) for uid, one in withheld.items()}


def release_decided(out: Path) -> int:
    """Brings what is out in line with the decisions: first takes back what differs from them, then adds. How many
    pictures were out and are not any more.

    Raises ValueError where a file is not the one that its note tells of.
    """
    before = _pictures(out)
    allowed, due = set(), []
    for _, standing in sorted(standings(out, list_withheld(out)).items()):
        if not standing.is_cleared:
            continue
        targets = {target for _, target in _copies(out, standing.waiting)}
        if _is_out(out, targets, standing):
            allowed |= targets
        else:
            due.append(standing)
    for folder in _folders(out):
        for path in folder.glob("*.dcm"):
            if path not in allowed:
                path.unlink()
    for standing in due:
        release(out, standing)
    return len(before - _pictures(out))


def _pictures(out: Path) -> set[str]:
    return {path.name for path in (out / IMAGES).glob("*.dcm")}


def release(out: Path, standing: Standing) -> None:
    """Writes a cleared file, and report, segmentation and annotated frames of it where they were asked for.

    What was out of it before goes first: an error leaves nothing there that lacks a box. Raises ValueError where the
    file is not the one that its note tells of.
    """
    waiting = standing.waiting
    take_back(out, waiting)
    if digest_of(pydicom.dcmread(waiting.path)) != waiting.note.picture:
        raise ValueError(
            f"{waiting.path} is not the picture that was decided on: remove {waiting.part}, and "
            "`hipsono grade --resume` makes it again"
        )
    for path, target in _copies(out, waiting):
        _let_out(path, target, standing.boxes)
    note = _note_of(out, waiting)
    note.parent.mkdir(mode=0o700, exist_ok=True)
    write_whole(note, standing.told)


def take_back(out: Path, waiting: Waiting) -> None:
    """Removes what was let out of a file."""
    _note_of(out, waiting).unlink(missing_ok=True)
    for _, target in _copies(out, waiting):
        target.unlink(missing_ok=True)


def _note_of(out: Path, waiting: Waiting) -> Path:
    return out / PRIVATE / RELEASED / f"{waiting.note.uid}.json"


def _is_out(out: Path, targets: Iterable[Path], standing: Standing) -> bool:
    note = _note_of(out, standing.waiting)
    return note.exists() and note.read_text() == standing.told and all(target.exists() for target in targets)


def blanked(dataset: Dataset, boxes: Iterable[Box]) -> Dataset:
    """The data set with boxes black in every frame; the same where there is nothing to blank."""
    boxes = tuple(boxes)
    if not boxes or "PixelData" not in dataset or dataset.Modality == "SEG":
        return dataset
    frames = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns, dataset.SamplesPerPixel).copy()
    for x0, y0, x1, y1 in boxes:
        frames[:, y0 : y1 + 1, x0 : x1 + 1] = 0
    if dataset.file_meta.TransferSyntaxUID == RLELossless:
        dataset.PixelData = encapsulate(
            pack([np.squeeze(frame, -1) if frame.shape[-1] == 1 else frame for frame in frames])
        )
    else:
        data = frames.tobytes()
        dataset.PixelData = data + b"\0" * (len(data) % 2)
    return dataset


def write_crosswalk(out: Path, crossings: Iterable[Crossing]) -> None:
    """Who is who, for those who hold the key."""
    told = io.StringIO()
    writer = csv.writer(told)
    writer.writerow([field.name for field in fields(Crossing)])
    writer.writerows(asdict(one).values() for one in sorted(crossings, key=lambda one: (one.file, one.uid)))
    write_whole(out / PRIVATE / CROSSWALK, told.getvalue())


def _copies(out: Path, waiting: Waiting) -> list[tuple[Path, Path]]:
    """(withheld, where it would be let out) of a file and of everything that was made of it."""
    return [
        (path, out / folder.name / path.name)
        for folder in _folders(waiting.part)
        for path in sorted(folder.glob("*.dcm"))
        if waiting.note.uid in _about(path)
    ]


def _folders(folder: Path) -> list[Path]:
    """Those of images and of each kind of result."""
    return [path for path in sorted(folder.iterdir()) if path.is_dir() and path.name != PRIVATE and path.name[0] != "."]


def _let_out(path: Path, target: Path, boxes: tuple[Box, ...]) -> None:
    dataset = blanked(pydicom.dcmread(path), boxes)
    dataset.PatientIdentityRemoved = "YES"
    if "BurnedInAnnotation" in dataset:
        dataset.BurnedInAnnotation = "NO"
    methods = dataset.DeidentificationMethodCodeSequence
    if CLEAN_PIXELS.value not in {item.CodeValue for item in methods}:
        methods.append(code_item(CLEAN_PIXELS))
    target.parent.mkdir(exist_ok=True)
    with unfinished(target) as partial:
        dataset.save_as(partial, enforce_file_format=True)


@cache
def _about(path: Path) -> frozenset[str]:
    """The instances that a file of a part is, or refers to. A part is named by its content, so this stays true."""
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    referred = {str(element.value) for element in dataset.iterall() if element.keyword == "ReferencedSOPInstanceUID"}
    return frozenset({str(dataset.SOPInstanceUID), *referred})
