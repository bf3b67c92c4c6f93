"""A researcher's pictures and masks -> samples of a data set: `hipsono data import`.

Pictures are any files the reader reads; a mask is a palette or grey PNG of the same stem, its values mapped to classes.
Without masks the frames are taken for pictures in which nothing is to be found.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datasets.files import read_frames
from datasets.palette import decode_mask
from datasets.picture import UnreadableFile
from datasets.sample import ALL_LABELLED, VESSEL, VESSEL_ID, Sample, Truth
from model.anatomy import LANDMARKS, STRUCTURE_NAMES, View, structure
from model.frame import Frame


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """How to read a folder of pictures.

    `classes` maps a mask's values to class names ("vessel" is artery or vein, not told apart); other values mean
    nothing was said. `patient` is a regular expression on the path below the folder: its first group, or its whole
    match, names the patient; each file is a patient of its own where it is empty.
    """

    pictures: Path
    masks: Path | None = None
    classes: dict[int, str] = field(default_factory=dict)
    view: View = View.OTHER
    patient: str = ""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.classes.values()) - {*STRUCTURE_NAMES, VESSEL})
        if unknown:
            raise ValueError(f"unknown classes {unknown}; known: {', '.join((*STRUCTURE_NAMES, VESSEL))}")
        if (self.masks is None) != (not self.classes):
            raise ValueError("masks and classes belong together: say what the values of a mask mean, as 2=vessel")
        re.compile(self.patient)


def parse_classes(text: str) -> dict[int, str]:
    """The map of "1=femoral_artery,2=femoral_vein". Raises ValueError."""
    try:
        pairs = [part.split("=") for part in text.split(",") if part]
        return {int(value): name.strip() for value, name in pairs}
    except ValueError as error:
        raise ValueError(f"classes are VALUE=NAME, separated by commas, got {text!r}") from error


def import_samples(plan: ImportPlan) -> Iterator[Sample]:
    """Every frame below the folder; files that are no pictures are passed by.

    Raises UnreadableFile, and ValueError for a mask that is missing or of another size.
    """
    if not plan.pictures.is_dir():
        raise ValueError(f"{plan.pictures} is no folder")
    for frame in read_frames(plan.pictures):
        path = Path(frame.source)
        mask = _mask(plan, path, frame)
        labelled = ALL_LABELLED if plan.masks is None else tuple(dict.fromkeys(plan.classes.values()))
        truth = Truth(plan.view, mask, _landmarks(mask), labelled=labelled)
        patient = _patient(plan, path)
        named = replace(frame, source=path.relative_to(plan.pictures).as_posix())
        yield Sample(named, truth, patient, f"{patient}-{path.stem}", reader_id="import")


def _mask(plan: ImportPlan, path: Path, frame: Frame) -> NDArray[np.uint8]:
    ids = np.zeros((frame.height, frame.width), np.uint8)
    if plan.masks is None:
        return ids
    source = plan.masks / path.relative_to(plan.pictures).with_suffix(".png")
    if not source.is_file():
        raise ValueError(f"{path} has no mask {source}: give it one, or take the picture out")
    values = decode_mask(source.read_bytes())
    if values.shape != ids.shape:
        raise ValueError(f"{source} is {values.shape[1]}x{values.shape[0]}, its picture {frame.width}x{frame.height}")
    for value, name in plan.classes.items():
        ids[values == value] = VESSEL_ID if name == VESSEL else structure(name).id
    return ids


def _landmarks(mask: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Centroids where the structure was drawn; the points of bone cannot be had from a mask."""
    out = np.full((len(LANDMARKS), 2), np.nan)
    for row, landmark in enumerate(LANDMARKS):
        if landmark.centroid_of is not None:
            rows, columns = np.nonzero(mask == structure(landmark.centroid_of).id)
            if rows.size:
                out[row] = columns.mean(), rows.mean()
    return out


def _patient(plan: ImportPlan, path: Path) -> str:
    name = path.relative_to(plan.pictures).as_posix()
    found = re.search(plan.patient, name) if plan.patient else None
    if plan.patient and found is None:
        raise UnreadableFile(name, f"the pattern {plan.patient!r} finds no patient in its name", "change the pattern")
    if found is None:
        return name
    return found.group(1) if found.re.groups else found.group(0)
