"""What goes back to a PACS of each DICOM file: report, segmentation and annotated frames, as the job asks for."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset

from datasets.dicom_header import read_header
from model.anatomy import View
from model.frame import Frame
from model.reading import ModelId, Reading
from serving.dicom_out.capture import build_capture
from serving.dicom_out.faults import seg_faults, sr_faults
from serving.dicom_out.origin import Making
from serving.dicom_out.seg import Segmented, build_seg, segment
from serving.dicom_out.sr import build_sr
from serving.overlay import draw_overlay

MAX_MASK_BYTES: Final = 400_000_000
"""Of one file's masks, a byte a pixel: a cine that needs more is reported and not segmented, and that is told."""


class Result(StrEnum):
    """A kind of object, and the folder it goes to."""

    REPORT = "sr"
    SEGMENTATION = "seg"
    OVERLAY = "overlays"


def asked_results(report: bool, segmentation: bool, overlay: bool) -> frozenset[Result]:
    """The kinds that a call asks for."""
    wanted = ((Result.REPORT, report), (Result.SEGMENTATION, segmentation), (Result.OVERLAY, overlay))
    return frozenset(kind for kind, is_wanted in wanted if is_wanted)


def _none(_result: Dataset, _origin: Dataset) -> tuple[str, ...]:
    return ()


_FAULTS: Final = {Result.REPORT: sr_faults, Result.SEGMENTATION: seg_faults}


@dataclass(slots=True)
class FileResults:
    """Collects while a file's frames go by: masks of all, and of each view the frame that shows it best."""

    wanted: frozenset[Result]
    mask_bytes: int = 0
    masks: list[Segmented] = field(default_factory=list)
    best: dict[View, tuple[tuple[bool, float], Frame, Reading]] = field(default_factory=dict)

    def see(self, frame: Frame, reading: Reading) -> None:
        """One more frame."""
        if Result.SEGMENTATION in self.wanted and not self.too_long:
            masks = segment(reading)
            self.mask_bytes += sum(one.mask.nbytes for one in masks)
            if self.mask_bytes <= MAX_MASK_BYTES:
                self.masks += masks
            else:
                self.masks = []
        view, worth = reading.view.name, _worth(reading)
        if view is not View.OTHER and (view not in self.best or worth > self.best[view][0]):
            self.best[view] = (worth, frame, reading)

    @property
    def too_long(self) -> bool:
        """Whether the file's masks are more than can be held."""
        return self.mask_bytes > MAX_MASK_BYTES

    def build(self, source: Path | bytes, model: ModelId) -> list[tuple[Result, Dataset]]:
        """The objects of the file; none where no frame shows a hip. Raises ValueError for one that breaks a rule."""
        if not self.wanted or not self.best:
            return []
        origin = read_header(source)
        making = Making(model, datetime.now(UTC))
        shown = [(frame, reading) for view in View if view in self.best for _, frame, reading in (self.best[view],)]
        readings = [reading for _, reading in shown]
        side = readings[0].frame.laterality
        built: list[tuple[Result, Dataset | None]] = []
        if Result.REPORT in self.wanted:
            built.append((Result.REPORT, build_sr(origin, readings, side, making)))
        if Result.SEGMENTATION in self.wanted and not self.too_long:
            built.append((Result.SEGMENTATION, build_seg(origin, self.masks, side, making)))
        if Result.OVERLAY in self.wanted:
            pictures = [draw_overlay(frame, reading) for frame, reading in shown]
            indices = [reading.frame.index for reading in readings]
            built.append((Result.OVERLAY, build_capture(origin, pictures, indices, making)))
        made = [(kind, result) for kind, result in built if result is not None]
        for kind, result in made:
            if faults := _FAULTS.get(kind, _none)(result, origin):
                raise ValueError(f"its {kind} would break a rule: {'; '.join(faults)}")
        return made


def _worth(reading: Reading) -> tuple[bool, float]:
    """How well a frame shows what its view is for: the grade, or the target."""
    if reading.view.name is View.LONGITUDINAL:
        gsus = reading.solar.gsus
        return gsus.grade is not None and gsus.review is None, max(gsus.probabilities, default=0.0)
    return bool(reading.targets), reading.view.confidence
