"""Landmarks, distances and grades as a Comprehensive SR: TID 1500 with TID 1410 for points, TID 1501 for the rest.

A report is preliminary and unverified: a machine made it, and a person has not looked yet.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    ComprehensiveSR,
    CoordinatesForMeasurement,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    ImageRegion,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    SourceImageForMeasurementGroup,
    SourceImageForRegion,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage

from model.anatomy import Laterality, View, landmark
from model.cine import CineGrade
from model.findings import FoundLandmark
from model.geometry import Points
from model.grade import GradeRules, capsule_percentile
from model.measure import Measurement as Measured
from model.reading import NOTICE, Reading
from model.targets import Target
from serving.about import VERSION
from serving.dicom_out.codes import (
    ARTIFICIAL_INTELLIGENCE,
    FRAMES_ANALYSED,
    HIP_JOINT,
    SIDES,
    Term,
    landmark_term,
    private,
)
from serving.dicom_out.origin import MAKER, Kind, Making, algorithm_words, is_cine, result_uid, take_over, tell_when
from serving.dicom_out.rows import COUNT, MILLIMETRE, PERCENT, coded, grade_words, number, quality, texts

KIND: Final = Kind(ComprehensiveSRStorage, "SR", 9102, "Hip reading")
_REPORT: Final = Term("126000", "DCM", "Imaging Measurement Report")
_PROCEDURE: Final = Term("16310003", "SCT", "Diagnostic ultrasonography")
_DEVICE: Final = Term("121007", "DCM", "Device")
_DISTANCE: Final = Term("121206", "DCM", "Distance")
_PATH: Final = Term("121055", "DCM", "Path")

Group = PlanarROIMeasurementsAndQualitativeEvaluations | MeasurementsAndQualitativeEvaluations


@dataclass(frozen=True, slots=True)
class Looked:
    """What was looked at of an instance: the frames shown for it, and of all that were read their indices (from 0),
    how many show each view, and their grade together.
    """

    shown: tuple[Reading, ...]
    frames: tuple[int, ...]
    views: tuple[tuple[View, int], ...]
    cine: CineGrade
    age_years: float | None = None


@dataclass(frozen=True, slots=True)
class _Told:
    """What a group says: numbers, coded words, and free text."""

    numbers: Sequence[Measurement] = ()
    qualities: Sequence[QualitativeEvaluation] = ()
    texts: Sequence[TextContentItem] = ()


def build_sr(origin: Dataset, looked: Looked, side: Laterality, making: Making) -> ComprehensiveSR:
    """The report of an instance, given its header (`conform`): which frames were looked at, and what those shown say.

    Raises ValueError for a point outside the frame, which no reader would show where it belongs.
    """
    about = _About(origin, side, making)
    groups = [about.overview(looked)]
    groups += [group for reading in looked.shown for group in about.groups(reading, looked.age_years)]
    report = MeasurementReport(
        ObservationContext(observer_device_context=_observer(making)),
        coded(_PROCEDURE),
        imaging_measurements=groups,
        title=coded(_REPORT),
        referenced_images=[origin],
    )
    result = ComprehensiveSR(
        evidence=[origin],
        content=report[0],
        series_instance_uid=str(result_uid(origin, KIND, making, "series")),
        series_number=KIND.series_number,
        sop_instance_uid=str(result_uid(origin, KIND, making, "instance")),
        instance_number=1,
        manufacturer=MAKER,
        is_complete=True,
        is_final=False,
    )
    take_over(result, origin)
    result.SeriesDescription = f"{KIND.description} ({NOTICE})"[:64]
    result.ManufacturerModelName, result.SoftwareVersions = making.model.name, VERSION
    tell_when(result, making)
    return result


class _About:
    """What every group of a report tells alike: the instance, the side, the network."""

    def __init__(self, origin: Dataset, side: Laterality, making: Making) -> None:
        self._origin, self._making = origin, making
        laterality = SIDES.get(side)
        self._site = [FindingSite(coded(HIP_JOINT), laterality=None if laterality is None else coded(laterality))]
        self._algorithm = AlgorithmIdentification(*algorithm_words(making.model), family=coded(ARTIFICIAL_INTELLIGENCE))

    def overview(self, looked: Looked) -> Group:
        """The frames that were looked at, and their grade together."""
        counts = {"frames_analysed": len(looked.frames), "frames_graded": looked.cine.frames}
        counts |= {f"frames_{view}": count for view, count in looked.views}
        numbers = [number(private(name, _words(name).capitalize()), count, COUNT) for name, count in counts.items()]
        grade = quality("cine_gsus", "SOLAR gsus over these frames", grade_words(looked.cine.grade))
        notes = texts({"cine_reason": ("SOLAR gsus over these frames: why not", _why_not(looked))})
        return self._whole(FRAMES_ANALYSED, "frames analysed", looked.frames, _Told(numbers, [grade], notes))

    def groups(self, reading: Reading, age_years: float | None) -> list[Group]:
        """A group a landmark, distance and target, and one for the grades of a frame that could carry them."""
        points = [self._point(reading, point) for point in reading.landmarks]
        known = [one for one in reading.measurements if one.unit == "mm" and one.value is not None]
        measured = [self._distance(reading, one, age_years) for one in known]
        aims = [self._target(reading, target) for target in reading.targets]
        grades = [self._grades(reading)] if reading.view.name is View.LONGITUDINAL else []
        return [*points, *measured, *aims, *grades]

    def _point(self, reading: Reading, point: FoundLandmark) -> Group:
        return PlanarROIMeasurementsAndQualitativeEvaluations(
            self._tracking(f"landmark {point.name}", [reading.frame.index]),
            referenced_region=ImageRegion(
                "POINT", self._corners(reading, np.array([[point.x, point.y]])), self._frame_of(reading)
            ),
            finding_type=coded(landmark_term(landmark(point.name))),
            algorithm_id=self._algorithm,
            finding_sites=self._site,
            measurements=[number(private("confidence", "Confidence"), 100 * point.confidence, PERCENT)],
        )

    def _distance(self, reading: Reading, one: Measured, age_years: float | None) -> Group:
        assert one.value is not None, "only measures with a value are told"
        path = CoordinatesForMeasurement(
            "POLYLINE", self._corners(reading, one.points_xy), self._frame_of(reading), purpose=coded(_PATH)
        )
        told = [Measurement(coded(_DISTANCE), round(one.value, 2), coded(MILLIMETRE), referenced_coordinates=[path])]
        if one.spread is not None:
            told.append(number(private("spread", "SD of the distance"), one.spread, MILLIMETRE))
        if one.name == "capsule_distance" and age_years is not None:
            percentile = capsule_percentile(one.value, age_years, GradeRules())
            told.append(number(private("capsule_percentile", "Percentile of healthy hips"), percentile, PERCENT))
        term = private(one.name, _words(one.name).capitalize())
        return self._whole(term, f"measurement {one.name}", [reading.frame.index], _Told(told))

    def _target(self, reading: Reading, target: Target) -> Group:
        numbers = [
            number(private(f"to_{one.structure}", f"Distance to {_words(one.structure)}"), one.distance_mm, MILLIMETRE)
            for one in target.clearances
            if one.distance_mm is not None
        ]
        safety = [] if target.safety is None else [quality("safety", "Safety", target.safety)]
        notes = texts({"safety_reason": ("Safety: why not", target.reason)})
        term = private(target.name, _words(target.name).capitalize())
        return self._whole(term, f"target {target.name}", [reading.frame.index], _Told(numbers, safety, notes))

    def _grades(self, reading: Reading) -> Group:
        """Every grade, or that there is none, with the reasons; and whether a person is asked to look."""
        gsus, pdus, combined = reading.solar.gsus, reading.solar.pdus, reading.solar.combined
        grades = {
            "gsus": gsus.grade, "pdus_literal": pdus.literal, "pdus_calibrated": pdus.calibrated,
            "combined": combined.grade,
        }  # fmt: skip
        qualities = [quality(name, f"SOLAR {_words(name)}", grade_words(grade)) for name, grade in grades.items()]
        review = combined.reason if gsus.grade is not None else None
        if review is not None:
            qualities.append(quality("review", "Review by a person", "asked for"))
        notes = texts({
            "review_reason": ("Review by a person: why", review),
            "gsus_reason": ("SOLAR gsus: why not", gsus.reason),
            "pdus_reason": ("SOLAR pdus: why not", pdus.reason),
            "gsus_evidence": ("SOLAR gsus: evidence", gsus.evidence),
        })  # fmt: skip
        numbers = [
            number(private(f"probability_{grade}", f"Probability of grade {grade}"), 100 * share, PERCENT)
            for grade, share in enumerate(gsus.probabilities)
        ]
        term = private("solar", "SOLAR synovitis score")
        return self._whole(term, "solar", [reading.frame.index], _Told(numbers, qualities, notes))

    def _whole(self, finding: Term, what: str, frames: Sequence[int], told: _Told) -> Group:
        """A group on whole frames."""
        origin = self._origin
        group = MeasurementsAndQualitativeEvaluations(
            self._tracking(what, frames),
            finding_type=coded(finding),
            algorithm_id=self._algorithm,
            finding_sites=self._site,
            measurements=list(told.numbers) or None,
            qualitative_evaluations=list(told.qualities) or None,
            source_images=[
                SourceImageForMeasurementGroup(origin.SOPClassUID, origin.SOPInstanceUID, self._numbers(frames))
            ],
        )
        group[0].ContentSequence.extend(told.texts)
        return group

    def _tracking(self, what: str, frames: Sequence[int]) -> TrackingIdentifier:
        uid = result_uid(self._origin, KIND, self._making, str(list(frames)), what)
        return TrackingIdentifier(str(uid), what if len(frames) != 1 else f"{what}, frame {frames[0] + 1}")

    def _frame_of(self, reading: Reading) -> SourceImageForRegion:
        origin = self._origin
        return SourceImageForRegion(origin.SOPClassUID, origin.SOPInstanceUID, self._numbers([reading.frame.index]))

    def _numbers(self, frames: Iterable[int]) -> list[int] | None:
        return [index + 1 for index in frames] if is_cine(self._origin) else None

    def _corners(self, reading: Reading, points_xy: Points) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
        """Pixel centres as DICOM counts them: from the corner of the first pixel (PS3.3 C.18.6)."""
        moved = points_xy + 0.5
        if (moved < 0).any() or (moved > [reading.frame.width, reading.frame.height]).any():
            raise ValueError(f"a point at {points_xy.tolist()} lies outside the frame")
        return np.asarray(moved, dtype=np.float64)


def _observer(making: Making) -> ObserverContext:
    model = making.model
    device = DeviceObserverIdentifyingAttributes(
        uid=f"2.25.{int(model.sha256[:30], 16)}",
        name=MAKER,
        manufacturer_name=MAKER,
        model_name=model.name,
        serial_number=model.sha256[:16],
    )
    return ObserverContext(coded(_DEVICE), device)


def _why_not(looked: Looked) -> str | None:
    if looked.cine.grade is not None:
        return None
    view_frames = dict(looked.views).get(View.LONGITUDINAL, 0)
    if not view_frames:
        return f"no {_words(View.LONGITUDINAL)} view among {len(looked.frames)} frames"
    return f"none of {view_frames} {_words(View.LONGITUDINAL)} frames carries a grade that needs no review"


def _words(name: str) -> str:
    return name.replace("_", " ")
