"""A researcher's pictures, masks and labels -> samples of a data set: `hipsono data import`.

Pictures are any files the reader reads; a mask is a palette or grey PNG of the same stem, its values mapped to classes;
a table tells the rest (datasets.label_table). Pictures of no hip view without masks are taken for pictures in which
nothing is to be found.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datasets.dicom import read_dicom
from datasets.files import NOTHING_KNOWN, FileKind, FrameOptions, kind_of_file, list_files, read_frames
from datasets.label_table import Label, LabelTable
from datasets.palette import decode_mask
from datasets.picture import UnreadableFile
from datasets.sample import ALL_LABELLED, VESSEL, VESSEL_ID, Sample, Truth
from model.anatomy import LANDMARKS, POINT_LANDMARK_NAMES, STRUCTURE_NAMES, View, structure, structures_of
from model.frame import Frame


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """How to read a folder of pictures.

    `classes` maps a mask's values to class names ("vessel" is artery or vein, not told apart); other values mean
    nothing was said. `patient` is a regular expression on the path below the folder: its first group, or its whole
    match, names the patient; where it is empty a DICOM file's PatientID does, and any other file is a patient of its
    own. `known` goes before what files say, the `table` before both.
    """

    pictures: Path
    masks: Path | None = None
    classes: dict[int, str] = field(default_factory=dict)
    view: View = View.OTHER
    patient: str = ""
    known: FrameOptions = NOTHING_KNOWN
    table: LabelTable | None = None

    def __post_init__(self) -> None:
        unknown = sorted(set(self.classes.values()) - {*STRUCTURE_NAMES, VESSEL})
        if unknown:
            raise ValueError(f"unknown classes {unknown}; known: {', '.join((*STRUCTURE_NAMES, VESSEL))}")
        if (self.masks is None) != (not self.classes):
            raise ValueError("masks and classes belong together: say what the values of a mask mean, as 2=vessel")
        re.compile(self.patient)


@dataclass(frozen=True, slots=True)
class _Picture:
    """A frame of a file, by the file's path below the folder, and the patient that the file itself names."""

    frame: Frame
    name: str
    patient: str


def parse_classes(text: str) -> dict[int, str]:
    """The map of "1=femoral_artery,2=femoral_vein". Raises ValueError."""
    try:
        pairs = [part.split("=") for part in text.split(",") if part]
        return {int(value): name.strip() for value, name in pairs}
    except ValueError as error:
        raise ValueError(f"classes are VALUE=NAME, separated by commas, got {text!r}") from error


def import_samples(plan: ImportPlan) -> Iterator[Sample]:
    """Every frame below the folder; files that are no pictures are passed by.

    Raises UnreadableFile, and ValueError for a folder without pictures, a mask that is missing, of another size or of
    another view's structures, a frame without a row in the table, a landmark that lies outside its picture.
    """
    if not plan.pictures.is_dir():
        raise ValueError(f"{plan.pictures} is no folder")
    files = list_files(plan.pictures)
    if not files:
        raise ValueError(f"{plan.pictures} holds no picture, DICOM file or video")
    for path in files:
        for picture in _pictures(path, path.relative_to(plan.pictures).as_posix()):
            yield _sample(plan, picture)


def _pictures(path: Path, name: str) -> Iterator[_Picture]:
    if kind_of_file(path) is FileKind.DICOM:
        cine = read_dicom(path, str(path))
        yield from (_Picture(frame, name, cine.identity.patient_id.strip()) for frame in cine.frames())
    else:
        yield from (_Picture(frame, name, "") for frame in read_frames(path))


def _sample(plan: ImportPlan, picture: _Picture) -> Sample:
    name, index = picture.name, picture.frame.index
    label = None if plan.table is None else plan.table.of(name, index)
    frame = replace(plan.known.apply(picture.frame), source=name)
    view = plan.view
    if label is not None:
        frame, view = label.known.apply(frame), label.view or view
    _check_view(plan, name, view)
    mask, labelled = _mask(plan, picture, view), _labelled(plan, view)
    truth = Truth(
        view,
        mask,
        _landmarks(mask, label, frame),
        None if label is None else label.gsus,
        None if label is None else label.pdus,
        labelled=labelled,
        pointed=_pointed(plan, view),
    )
    patient = (label.patient if label else "") or _patient(plan, picture)
    return Sample(frame, truth, patient, f"{patient}-{Path(name).stem}", reader_id="import")


def _check_view(plan: ImportPlan, name: str, view: View) -> None:
    """Raises ValueError where the masks hold what is never drawn in the view."""
    drawn = {one.name for one in structures_of(view)} | {VESSEL}
    foreign = [one for one in plan.classes.values() if one not in drawn] if view is View.OTHER else []
    if foreign:
        raise ValueError(
            f"{name} is of view {view}, where {foreign[0]} is never drawn: give --view or the table's column view, or "
            f"call an artery or vein outside the hip views {VESSEL}"
        )


def _labelled(plan: ImportPlan, view: View) -> tuple[str, ...]:
    if plan.masks is not None:
        return tuple(dict.fromkeys(plan.classes.values()))
    return ALL_LABELLED if view is View.OTHER else ()


def _pointed(plan: ImportPlan, view: View) -> tuple[str, ...]:
    """A table's columns were looked for; in no hip view there is nothing to look for."""
    if view is View.OTHER:
        return POINT_LANDMARK_NAMES
    return () if plan.table is None else plan.table.landmarks


def _mask(plan: ImportPlan, picture: _Picture, view: View) -> NDArray[np.uint8] | None:
    frame, path = picture.frame, Path(picture.name)
    ids = np.zeros((frame.height, frame.width), np.uint8)
    if plan.masks is None:
        return ids if view is View.OTHER else None
    source = plan.masks / path.with_name(f"{path.stem}-{frame.index}.png")
    if not source.is_file() and frame.index == 0:
        source = plan.masks / path.with_suffix(".png")
    if not source.is_file():
        several = f", its frame {frame.index}," if frame.index else ""
        raise ValueError(f"{picture.name}{several} has no mask {source}: give it one, or take the picture out")
    values = decode_mask(source.read_bytes())
    if values.shape != ids.shape:
        raise ValueError(f"{source} is {values.shape[1]}x{values.shape[0]}, its picture {frame.width}x{frame.height}")
    for value, name in plan.classes.items():
        ids[values == value] = VESSEL_ID if name == VESSEL else structure(name).id
    return ids


def _landmarks(mask: NDArray[np.uint8] | None, label: Label | None, frame: Frame) -> NDArray[np.float64]:
    """Centroids where the structure was drawn, and the table's points: those of bone cannot be had from a mask."""
    out = np.full((len(LANDMARKS), 2), np.nan)
    for row, landmark in enumerate(LANDMARKS):
        if landmark.centroid_of is not None and mask is not None:
            rows, columns = np.nonzero(mask == structure(landmark.centroid_of).id)
            if rows.size:
                out[row] = columns.mean(), rows.mean()
        if label is not None and landmark.name in label.landmarks:
            x, y = label.landmarks[landmark.name]
            if not (0 <= x <= frame.width - 1 and 0 <= y <= frame.height - 1):
                raise ValueError(
                    f"{label.place}: {landmark.name} ({x:g}, {y:g}) lies outside its picture of "
                    f"{frame.width}x{frame.height}"
                )
            out[row] = x, y
    return out


def _patient(plan: ImportPlan, picture: _Picture) -> str:
    if not plan.patient:
        return picture.patient or picture.name
    found = re.search(plan.patient, picture.name)
    if found is None:
        told = f"the pattern {plan.patient!r} finds no patient in its name"
        raise UnreadableFile(picture.name, told, "change the pattern")
    return found.group(1) if found.re.groups else found.group(0)
