"""One study -> a row a frame, a row a hip, the frame that decided each hip, and what could not be read."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import pyarrow as pa
from pydicom.dataset import Dataset

from datasets.dicom import Identity, read_dicom
from datasets.files import FileKind, FrameOptions, read_frames
from datasets.inputs import Failure, Why, failure_of
from model.anatomy import Laterality, View
from model.cine import CineGrade
from model.frame import Frame
from model.grade import Combined, GradeRules, Gsus, Pdus, capsule_percentile, combine
from model.reading import Reader, Reading
from serving.archive.plan import Study
from serving.archive.results import FileResults, Result
from serving.archive.tables import FrameSource, HipRow, ReadingRows
from serving.deidentify.clean import Cleaner, Identities, Withheld

_NOBODY: Final = Identity(*[""] * 8)
_NO_HEADER: Final = "a picture or video has no header to go by: it is neither read nor let out"


@dataclass(frozen=True, slots=True, eq=False)
class Deciding:
    """A frame that decides a hip, with its reading: what a person looks at."""

    source: FrameSource
    frame: Frame
    reading: Reading


@dataclass(frozen=True, slots=True)
class StudyRead:
    """Everything of one study; `readings` a row a frame; `withheld` its files de-identified, where that is asked."""

    readings: pa.Table
    hips: tuple[HipRow, ...]
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
    looks: int = 2


@dataclass(frozen=True, slots=True)
class _Opened:
    """A file to be read: under which names it is told, and where its bytes are."""

    study: str
    name: str
    source: Path | bytes


def read_study(study: Study, reader: Reader, asked: Asked, cleaner: Cleaner | None = None) -> StudyRead:
    """Reads every frame of every file. One that cannot be read to its end is a failure; its frames until then stay.

    With a cleaner, what is read and told of is each file's de-identified twin; failures keep the originals' names.
    """
    rows = ReadingRows()
    failures: list[Failure] = []
    hips: dict[Laterality, _Hip] = {}
    results: list[tuple[Result, Dataset]] = []
    withheld: list[Withheld] = []
    for item in study.items:
        of_file = FileResults(asked.results if item.kind is FileKind.DICOM else frozenset())
        try:
            opened = _Opened(study.name, item.input.name, item.input.source())
            if cleaner is not None:
                if item.kind is not FileKind.DICOM:
                    failures.append(Failure(item.input.name, Why.NOT_DEIDENTIFIED, _NO_HEADER))
                    continue
                withheld.append(cleaner.clean(opened.source, item.input.name))
                opened = _twin(withheld[-1])
            identity, frames = _frames(item.kind, opened)
            for known, reading in reader.read_all(map(asked.known.apply, frames)):
                seen = Deciding(FrameSource(opened.study, opened.name, identity), known, reading)
                rows.add(seen.source, seen.reading)
                hips.setdefault(known.laterality, _Hip(known.laterality)).see(seen)
                of_file.see(known, seen.reading)
            results += of_file.build(opened.source, reader.model)
            if of_file.too_long:
                failures.append(Failure(item.input.name, Why.NOT_SEGMENTED, "its masks would fill the memory: cut it"))
        except Exception as error:  # one poisoned file never stops an archive, whatever it does
            failures.append(failure_of(item.input.name, error))
    ordered = [hips[side] for side in Laterality if side in hips]
    told = _compared(tuple(hip.row(asked.rules) for hip in ordered))
    deciding = tuple(hip.decided for hip in ordered if hip.decided is not None)
    return StudyRead(rows.table(), told, tuple(failures), deciding, tuple(results), tuple(withheld))


def _twin(withheld: Withheld) -> _Opened:
    crossing = withheld.note.crossing
    return _Opened(crossing.study, f"{crossing.uid}.dcm", withheld.data)


def _frames(kind: FileKind, opened: _Opened) -> tuple[Identity, Iterator[Frame]]:
    if kind is FileKind.DICOM:
        cine = read_dicom(opened.source, opened.name)
        return cine.identity, cine.frames()
    return _NOBODY, read_frames(opened.source, name=opened.name)


@dataclass(slots=True)
class _Hip:
    """What is remembered of a hip while its frames go by: of the frames themselves only those that may decide."""

    side: Laterality
    frames: int = 0
    view_frames: int = 0
    first: FrameSource | None = None
    age_years: float | None = None
    grade: CineGrade = field(default_factory=CineGrade)
    best: dict[int, Deciding] = field(default_factory=dict)
    flow: Pdus = field(default_factory=lambda: Pdus(None, None, "no Doppler picture"))
    reasons: Counter[str] = field(default_factory=Counter)

    def see(self, seen: Deciding) -> None:
        """One more frame, numbered by its place among the hip's frames."""
        self.first = self.first or seen.source
        self.age_years = seen.frame.age_years if self.age_years is None else self.age_years
        if seen.reading.view.name is View.LONGITUDINAL:
            self.view_frames += 1
            self._weigh(seen)
        flow = seen.reading.solar.pdus
        if flow.calibrated is not None and (self.flow.calibrated is None or flow.calibrated > self.flow.calibrated):
            self.flow = flow
        self.frames += 1

    def _weigh(self, seen: Deciding) -> None:
        gsus = seen.reading.solar.gsus
        before, self.grade = self.grade, self.grade.seen(gsus, self.frames)
        if self.grade is before:
            self.reasons[gsus.review or gsus.reason or "no grade"] += 1
        for grade, (_, index) in enumerate(self.grade.best):
            if index == self.frames:
                self.best[grade] = seen

    @property
    def decided(self) -> Deciding | None:
        """The frame that shows the hip's grade most clearly."""
        return None if self.grade.grade is None else self.best[self.grade.grade]

    def row(self, rules: GradeRules) -> HipRow:
        """The hip's row, but for the difference to the other side."""
        assert self.first is not None, "a hip is begun by its first frame"
        decided, gsus = self.decided, self._gsus()
        combined = Combined(None) if decided is None else combine(gsus, self.flow)
        distance, spread = (None, None) if decided is None else _distance(decided.reading)
        percentile = None
        if distance is not None and self.age_years is not None:
            percentile = capsule_percentile(distance, self.age_years, rules)
        return HipRow(
            study=self.first.study,
            patient_id=self.first.identity.patient_id,
            study_date=self.first.identity.study_date,
            hip=self.side,
            age_years=self.age_years,
            frames=self.frames,
            view_frames=self.view_frames,
            graded_frames=self.grade.frames,
            gsus=gsus.grade,
            probabilities=gsus.probabilities,
            evidence=gsus.evidence,
            pdus_literal=self.flow.literal,
            pdus_calibrated=self.flow.calibrated,
            combined=combined.grade,
            review=combined.reason,
            reason=gsus.reason,
            capsule_distance_mm=distance,
            capsule_spread_mm=spread,
            capsule_percentile=percentile,
            deciding_source=None if decided is None else decided.source.source,
            deciding_frame=None if decided is None else decided.reading.frame.index,
        )

    def _gsus(self) -> Gsus:
        decided = self.decided
        if decided is None:
            return Gsus(None, (), "", self._why_not())
        return Gsus(self.grade.grade, self.grade.probabilities or (), decided.reading.solar.gsus.evidence)

    def _why_not(self) -> str:
        if not self.view_frames:
            return f"no anterior longitudinal view among {self.frames} frames"
        reason, count = self.reasons.most_common(1)[0]
        return f"{reason} ({count} of {self.view_frames} longitudinal frames)"


def _distance(reading: Reading) -> tuple[float | None, float | None]:
    found = next((one for one in reading.measurements if one.name == "capsule_distance"), None)
    return (None, None) if found is None else (found.value, found.spread)


def _compared(hips: tuple[HipRow, ...]) -> tuple[HipRow, ...]:
    """With the side difference, where both sides of a study have a distance."""
    distance = {hip.hip: hip.capsule_distance_mm for hip in hips}
    left, right = distance.get(Laterality.LEFT), distance.get(Laterality.RIGHT)
    if left is None or right is None:
        return hips
    difference = {Laterality.LEFT: left - right, Laterality.RIGHT: right - left}
    return tuple(replace(hip, side_difference_mm=difference.get(hip.hip)) for hip in hips)
