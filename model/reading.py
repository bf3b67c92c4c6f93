"""Reader and Reading: the whole flow on one screen. Serving, archives and evaluation all read through here."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from model.anatomy import Laterality, View, structure
from model.closer import closer_box, is_heard, merged
from model.findings import Findings, FoundLandmark, FoundStructure, find, withheld
from model.frame import Frame, Spacing
from model.geometry import fill
from model.grade import GradeRules, Learned, Solar
from model.measure import CapsuleCurves, Measurement, capsule_curves, measure
from model.preprocess import Box, Look, find_sector, look_at
from model.runtime import Maps, Session
from model.solar import Evidence, grade_frame
from model.steps import CAREFUL, Answered, Prepared, Seen, graded_along, graded_by_both, packs, taken_twice
from model.strip import followed
from model.targets import Target, targets
from model.tracking import Track, continued, follow, steady_maps, steady_sector

SCHEMA: Final = 1
NOTICE: Final = "research use; not a medical device"
NERVE_NOTICE: Final = "the femoral nerve is not segmented"


@dataclass(frozen=True, slots=True)
class ModelId:
    """Which network read the frame."""

    name: str
    version: str
    sha256: str
    trained_on: str


@dataclass(frozen=True, slots=True)
class FrameInfo:
    """What was read. `spacing_mm` is the scale at the sector's centre; `sector` is (x0, y0, x1, y1) inclusive."""

    width: int
    height: int
    index: int
    source: str
    spacing_mm: Spacing | None
    spacing_source: str | None
    laterality: Laterality
    sector: Box


@dataclass(frozen=True, slots=True)
class ViewReading:
    """The view with its calibrated probabilities, in the order of anatomy.VIEWS."""

    name: View
    confidence: float
    probabilities: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class StructureReading:
    """A structure in frame pixels: contours each (N, 2), bbox (x0, y0, x1, y1); area in mm2 only with a scale."""

    name: str
    confidence: float
    area_px: float
    area_mm2: float | None
    bbox: tuple[float, float, float, float]
    contours: tuple[NDArray[np.float64], ...]


@dataclass(frozen=True, slots=True)
class Timing:
    """Wall time of one stage, in ms."""

    stage: str
    ms: float


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """Everything read of one frame; absent things carry their reason. `looks` is how often it was looked at."""

    id: str
    model: ModelId
    looks: int
    frame: FrameInfo
    view: ViewReading
    structures: tuple[StructureReading, ...]
    landmarks: tuple[FoundLandmark, ...]
    targets: tuple[Target, ...]
    measurements: tuple[Measurement, ...]
    solar: Solar
    warnings: tuple[str, ...]
    timings: tuple[Timing, ...]


class Reader:
    """Reads frames with one network. Holds no state between frames; may be shared by threads.

    With two `looks` what is found in a frame is looked at once more from nearer by (model.closer), and a capsule is
    followed along the neck where the session has a network for it (model.strip): surer, and late for a stream, which
    `follow` therefore never does.
    """

    def __init__(self, session: Session, rules: GradeRules | None = None, looks: int = 1) -> None:
        spec = session.spec
        self._session = session
        self._looks = looks
        self._rules = rules or GradeRules()
        self.model = ModelId(spec.name, spec.version, session.sha256, spec.trained_on)

    def read(self, frame: Frame) -> Reading:
        """The whole flow: Frame -> Reading. Deterministic but for its timings."""
        return self._interpreted(self._seen_closer(self._found(self._answered(self._prepared(frame)))))

    def read_all(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, Reading]]:
        """Each frame with its reading, the same as one by one but sooner: stage after stage over a few frames at once,
        since the network drives everything else out of the processor's caches. What `frames` raises comes after the
        readings of the frames before it.
        """
        for pack in packs(frames):
            prepared = [self._prepared(frame) for frame in pack]
            answered = [self._answered(one) for one in prepared]
            found = [self._found(one) for one in answered]
            seen = [self._seen_closer(one) for one in found]
            yield from [(one.first.frame, self._interpreted(one)) for one in seen]

    def follow(self, frame: Frame, track: Track | None, at_s: float) -> tuple[Reading, Track]:
        """The same for the next frame of a cine, taken at `at_s` on any clock that runs forward: what is told is
        steadied by what the track remembers of the frames before (None at the start). Gives the track for the next.
        """
        prepared = self._prepared(frame, track)
        look = prepared.look
        track = continued(track, look, at_s)
        answered = self._answered(prepared)
        began = perf_counter()
        maps = steady_maps(answered.maps, track, at_s)
        findings = self._located(maps, look, frozenset() if track is None else track.shown)
        findings, remembered = follow(findings, maps, track, look, at_s)
        return self._told(replace(answered, maps=maps), findings, began), remembered

    def _prepared(self, frame: Frame, track: Track | None = None) -> Prepared:
        began = perf_counter()
        return self._prepared_in(frame, steady_sector(find_sector(frame), track), began)

    def _prepared_in(self, frame: Frame, box: Box, began: float) -> Prepared:
        look = look_at(frame, box, self._session.spec.input_height, self._session.spec.input_width)
        return Prepared(frame, look, perf_counter() - began)

    def _answered(self, prepared: Prepared) -> Answered:
        began = perf_counter()
        maps = self._session.run(prepared.look.picture)
        return Answered(prepared.frame, prepared.look, maps, (prepared.took_s, perf_counter() - began))

    def _found(self, answered: Answered) -> Seen:
        began = perf_counter()
        findings = self._located(answered.maps, answered.look)
        box = closer_box(findings, answered.look.sector) if self._looks > 1 else None
        return Seen(answered, findings, box, perf_counter() - began)

    def _located(self, maps: Maps, look: Look, shown: frozenset[str] = frozenset()) -> Findings:
        findings = find(maps, look.placement, self._session.spec, shown)
        return findings if look.fault is None else withheld(findings, look.fault)

    def _seen_closer(self, seen: Seen) -> Seen:
        if seen.box is None:
            return seen
        return replace(seen, near=self._answered(self._prepared_in(seen.first.frame, seen.box, perf_counter())))

    def _interpreted(self, seen: Seen) -> Reading:
        began = perf_counter() - seen.took_s
        findings, answered, near = seen.findings, seen.first, seen.near
        spec = self._session.spec
        if near is not None:
            again = self._located(near.maps, near.look)
            if is_heard(findings, again):
                findings = merged(findings, again, spec.centroid_spread)
                answered = graded_by_both(answered, near, spec.gsus_of_two)
            answered = taken_twice(answered, near.took_s)
        looked = perf_counter()
        along = followed(findings, answered.frame, self._session) if self._looks >= CAREFUL else None
        if along is None or spec.strip is None:
            return self._told(answered, findings, began)
        took_s = perf_counter() - looked
        answered = graded_along(taken_twice(answered, (0.0, took_s)), along.gsus, spec.strip)
        return self._told(answered, findings, began + took_s, along.curves)

    def _told(
        self, answered: Answered, findings: Findings, began_s: float, curves: CapsuleCurves | None = None
    ) -> Reading:
        """What was found, measured, graded and put into one value; measured between the outlines without `curves`."""
        frame, look = answered.frame, answered.look
        preprocess_s, network_s = answered.took_s
        outlined = curves or capsule_curves(findings, self._session.spec.capsule_spread)
        measurements = measure(findings, frame, outlined)
        learned = Learned(answered.maps.gsus, self._session.spec.thresholds.grade)
        solar = grade_frame(frame, look.sector, Evidence(findings, measurements, learned), self._rules)
        aims, no_aim = targets(findings, frame)
        ended = perf_counter()
        return Reading(
            id=_identity(answered, self.model),
            model=self.model,
            looks=answered.looks,
            frame=_frame_info(frame, look.sector),
            view=ViewReading(findings.view, findings.view_confidence, findings.view_probabilities),
            structures=tuple(_structure(found, frame) for found in findings.structures),
            landmarks=findings.landmarks,
            targets=aims,
            measurements=measurements,
            solar=solar,
            warnings=(*frame.warnings, *((NERVE_NOTICE,) if aims else ()), *((no_aim,) if no_aim else ())),
            timings=(
                Timing("preprocess", 1e3 * preprocess_s),
                Timing("network", 1e3 * network_s),
                Timing("interpret", 1e3 * (ended - began_s)),
            ),
        )

    def raw_mask(self, frame: Frame) -> NDArray[np.uint8]:
        """The network's own mask (H, W) of structure ids in frame pixels, before any threshold or abstention."""
        look = self._prepared(frame).look
        labels = self._session.run(look.picture).labels
        size = (frame.width, frame.height)
        flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(labels, look.placement.matrix(), size, flags=flags), dtype=np.uint8)


def paint_mask(reading: Reading) -> NDArray[np.uint8]:
    """The reading's structures as a mask (H, W) of protocol ids; the higher row of the table wins where two meet."""
    mask = np.zeros((reading.frame.height, reading.frame.width), np.uint8)
    for found in sorted(reading.structures, key=lambda s: structure(s.name).id, reverse=True):
        mask[fill(found.contours, *mask.shape)] = structure(found.name).id
    return mask


def _identity(answered: Answered, model: ModelId) -> str:
    frame = answered.frame
    digest = hashlib.blake2b(answered.look.picture.tobytes(), digest_size=12)
    digest.update(f"{frame.source}|{frame.index}|{frame.regions}|{model.sha256}|{answered.looks}".encode())
    return digest.hexdigest()


def _frame_info(frame: Frame, sector: Box) -> FrameInfo:
    spacing = frame.spacing_at((sector[0] + sector[2]) / 2, (sector[1] + sector[3]) / 2)
    return FrameInfo(
        frame.width,
        frame.height,
        frame.index,
        frame.source,
        spacing,
        frame.spacing_source if spacing else None,
        frame.laterality,
        sector,
    )


def _structure(found: FoundStructure, frame: Frame) -> StructureReading:
    points = np.concatenate(found.contours)
    low, high = points.min(axis=0), points.max(axis=0)
    centre = (low + high) / 2
    spacing = frame.spacing_at(float(centre[0]), float(centre[1]))
    return StructureReading(
        name=found.structure.name,
        confidence=found.confidence,
        area_px=found.area_px,
        area_mm2=found.area_px * spacing[0] * spacing[1] if spacing else None,
        bbox=(float(low[0]), float(low[1]), float(high[0]), float(high[1])),
        contours=found.contours,
    )
