"""What goes back to a PACS of each DICOM file: report, segmentation and annotated frames, as the job asks for."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

import orjson
from pydicom.dataset import Dataset

from datasets.dicom_header import read_header
from model.anatomy import View
from model.cine import CineGrade
from model.frame import Frame
from model.reading import ModelId, Reader, Reading
from serving.dicom_out.capture import build_capture
from serving.dicom_out.faults import seg_faults, sr_faults
from serving.dicom_out.origin import Making, conform
from serving.dicom_out.seg import Segmented, build_seg, segment
from serving.dicom_out.sr import Looked, build_sr
from serving.overlay import draw_overlay

MAX_MASK_BYTES: Final = 400_000_000
"""Of one file's masks, a byte a pixel: a cine that needs more is reported and not segmented, and that is told."""

_FaultsOf = Callable[[Dataset, Dataset], tuple[str, ...]]


class Result(StrEnum):
    """A kind of object, and the folder it goes to."""

    REPORT = "sr"
    SEGMENTATION = "seg"
    OVERLAY = "overlays"


def asked_results(report: bool, segmentation: bool, overlay: bool) -> frozenset[Result]:
    """The kinds that a call asks for."""
    wanted = ((Result.REPORT, report), (Result.SEGMENTATION, segmentation), (Result.OVERLAY, overlay))
    return frozenset(kind for kind, is_wanted in wanted if is_wanted)


@dataclass(frozen=True, slots=True)
class Made:
    """The objects of a file, and of each that could not be made why."""

    objects: tuple[tuple[Result, Dataset], ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(slots=True)
class FileResults:
    """Collects while a file's frames go by: masks of all, of each view the frame that shows it best, and a digest of
    everything read, by which other content becomes another object.
    """

    wanted: frozenset[Result]
    mask_bytes: int = 0
    masks: list[Segmented] = field(default_factory=list)
    best: dict[View, tuple[tuple[bool, float], Frame, Reading]] = field(default_factory=dict)
    frames: list[int] = field(default_factory=list)
    views: Counter[View] = field(default_factory=Counter)
    cine: CineGrade = field(default_factory=CineGrade)
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def read(self, frames: Iterable[Frame], reader: Reader) -> Iterator[tuple[Frame, Reading]]:
        """Each frame of the file with its reading, collected as it goes by."""
        for frame, reading in reader.read_all(frames):
            self.see(frame, reading)
            yield frame, reading

    def see(self, frame: Frame, reading: Reading) -> None:
        """One more frame."""
        if not self.wanted:
            return
        self.frames.append(reading.frame.index)
        self.views[reading.view.name] += 1
        self.cine = self.cine.seen(reading.solar.gsus, reading.frame.index)
        self.digest.update(_content(frame, reading))
        if Result.SEGMENTATION in self.wanted and self.mask_bytes <= MAX_MASK_BYTES:
            masks = segment(reading)
            self.mask_bytes += sum(one.mask.nbytes for one in masks)
            if self.mask_bytes <= MAX_MASK_BYTES:
                self.masks += masks
            else:
                self.masks = []
        view, worth = reading.view.name, _worth(reading)
        if view is not View.OTHER and (view not in self.best or worth > self.best[view][0]):
            self.best[view] = (worth, frame, reading)

    def build(self, source: Path | bytes, model: ModelId) -> Made:
        """The objects of the file; none where no frame shows a hip. One that cannot be made costs no other."""
        if not self.wanted or not self.best:
            return Made()
        try:
            origin = conform(read_header(source))
        except ValueError as error:
            return Made((), (f"no results: {error}",))
        making = Making(model, datetime.now(UTC), self.digest.hexdigest())
        objects, problems = [], []
        for kind in (one for one in Result if one in self.wanted):
            try:
                built = self._build(kind, origin, making)
            except Exception as error:  # whatever one kind stumbles over, the reading and the others stay
                problems.append(f"no {kind.name.lower()}: {error}")
            else:
                objects += [(kind, built)] if built is not None else []
        return Made(tuple(objects), tuple(problems))

    def _build(self, kind: Result, origin: Dataset, making: Making) -> Dataset | None:
        shown = [(frame, reading) for view in View if view in self.best for _, frame, reading in (self.best[view],)]
        readings = tuple(reading for _, reading in shown)
        side = readings[0].frame.laterality
        if kind is Result.OVERLAY:
            pictures = [draw_overlay(frame, reading) for frame, reading in shown]
            return build_capture(origin, pictures, [reading.frame.index for reading in readings], making)
        if kind is Result.SEGMENTATION:
            if self.mask_bytes > MAX_MASK_BYTES:
                raise ValueError("its masks would fill the memory; cut the cine into parts")
            return _checked(build_seg(origin, self.masks, side, making), seg_faults, origin)
        views = tuple(sorted(self.views.items()))
        looked = Looked(readings, tuple(self.frames), views, self.cine, shown[0][0].age_years)
        return _checked(build_sr(origin, looked, side, making), sr_faults, origin)


def _checked(result: Dataset | None, faults_of: _FaultsOf, origin: Dataset) -> Dataset | None:
    if result is not None and (faults := faults_of(result, origin)):
        raise ValueError(f"it would break a rule: {'; '.join(faults)}")
    return result


def _content(frame: Frame, reading: Reading) -> bytes:
    """Everything read of a frame and known of it, but for names of files and times."""
    told = replace(reading, id="", timings=(), frame=replace(reading.frame, source=""))
    return orjson.dumps([frame.age_years, told], option=orjson.OPT_SERIALIZE_NUMPY)


def _worth(reading: Reading) -> tuple[bool, float]:
    """How well a frame shows what its view is for: the grade, or the target."""
    if reading.view.name is View.LONGITUDINAL:
        gsus = reading.solar.gsus
        return gsus.grade is not None and gsus.review is None, max(gsus.probabilities, default=0.0)
    return bool(reading.targets), reading.view.confidence
