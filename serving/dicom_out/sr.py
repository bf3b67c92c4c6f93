"""Landmarks, distances and grades as a Comprehensive SR: TID 1500 with TID 1410 for points, TID 1501 for the rest.

A report is preliminary and unverified: a machine made it, and a person has not looked yet.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
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
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage

from model.anatomy import Laterality, landmark
from model.findings import FoundLandmark
from model.geometry import Points
from model.measure import Measurement as Measured
from model.measure import Target
from model.reading import NOTICE, Reading
from serving.about import VERSION
from serving.dicom_out.codes import ARTIFICIAL_INTELLIGENCE, HIP_JOINT, SIDES, Term, landmark_term, private
from serving.dicom_out.origin import MAKER, Kind, Making, algorithm_words, completed, result_uid, take_over, tell_when

KIND: Final = Kind(ComprehensiveSRStorage, "SR", 9102, "Hip reading")
_REPORT: Final = Term("126000", "DCM", "Imaging Measurement Report")
_PROCEDURE: Final = Term("16310003", "SCT", "Diagnostic ultrasonography")
_DEVICE: Final = Term("121007", "DCM", "Device")
_DISTANCE: Final = Term("121206", "DCM", "Distance")
_PATH: Final = Term("121055", "DCM", "Path")
_MILLIMETRE: Final = Term("mm", "UCUM", "millimeter")
_PERCENT: Final = Term("%", "UCUM", "percent")

Group = PlanarROIMeasurementsAndQualitativeEvaluations | MeasurementsAndQualitativeEvaluations


def build_sr(origin: Dataset, readings: Sequence[Reading], side: Laterality, making: Making) -> ComprehensiveSR:
    """The report of an instance, given its header, on the frames that are shown for it.

    Raises ValueError for a point outside the frame, which no reader would show where it belongs.
    """
    origin = completed(origin)
    about = _About(origin, side, making)
    groups: list[Group] = [group for reading in readings for group in about.groups(reading)]
    report = MeasurementReport(
        ObservationContext(observer_device_context=_observer(making)),
        _coded(_PROCEDURE),
        imaging_measurements=groups,
        title=_coded(_REPORT),
        referenced_images=[origin],
    )
    result = ComprehensiveSR(
        evidence=[origin],
        content=report[0],
        series_instance_uid=str(result_uid(origin, KIND, making.model, "series")),
        series_number=KIND.series_number,
        sop_instance_uid=str(result_uid(origin, KIND, making.model, "instance")),
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
        self._site = [FindingSite(_coded(HIP_JOINT), laterality=None if laterality is None else _coded(laterality))]
        self._algorithm = AlgorithmIdentification(
            *algorithm_words(making.model), family=_coded(ARTIFICIAL_INTELLIGENCE)
        )

    def groups(self, reading: Reading) -> list[Group]:
        """A group a landmark, distance and target, and one for the grades."""
        points: list[Group] = [self._point(reading, point) for point in reading.landmarks]
        measured = [self._distance(reading, one) for one in reading.measurements if one.unit == "mm" and one.value]
        aims = [self._target(reading, target) for target in reading.targets]
        grades = self._grades(reading)
        return [*points, *measured, *aims, *([] if grades is None else [grades])]

    def _point(self, reading: Reading, point: FoundLandmark) -> Group:
        return PlanarROIMeasurementsAndQualitativeEvaluations(
            self._tracking(reading, f"landmark {point.name}"),
            referenced_region=ImageRegion(
                "POINT", self._corners(reading, np.array([[point.x, point.y]])), self._frame_of(reading)
            ),
            finding_type=_coded(landmark_term(landmark(point.name))),
            algorithm_id=self._algorithm,
            finding_sites=self._site,
            measurements=[_number(private("confidence", "Confidence"), 100 * point.confidence, _PERCENT)],
        )

    def _distance(self, reading: Reading, one: Measured) -> Group:
        assert one.value is not None, "only measures with a value are told"
        path = CoordinatesForMeasurement(
            "POLYLINE", self._corners(reading, one.points_xy), self._frame_of(reading), purpose=_coded(_PATH)
        )
        told = [Measurement(_coded(_DISTANCE), round(one.value, 2), _coded(_MILLIMETRE), referenced_coordinates=[path])]
        if one.spread is not None:
            told.append(_number(private("spread", "SD of the distance"), one.spread, _MILLIMETRE))
        title = _words(one.name).capitalize()
        return self._whole_frame(reading, f"measurement {one.name}", private(one.name, title), told)

    def _target(self, reading: Reading, target: Target) -> Group:
        told = [
            _number(
                private(f"to_{one.structure}", f"Distance to {_words(one.structure)}"), one.distance_mm, _MILLIMETRE
            )
            for one in target.clearances
            if one.distance_mm is not None
        ]
        safety = [] if target.safety is None else [_quality("safety", "Safety", target.safety)]
        title = _words(target.name).capitalize()
        return self._whole_frame(reading, f"target {target.name}", private(target.name, title), told, safety)

    def _grades(self, reading: Reading) -> Group | None:
        solar = reading.solar
        told = {"gsus": solar.gsus.grade, "pdus": solar.pdus.calibrated, "combined": solar.combined.grade}
        known = [_quality(name, f"SOLAR {name}", f"grade {grade}") for name, grade in told.items() if grade is not None]
        if not known:
            return None
        return self._whole_frame(reading, "solar", private("solar", "SOLAR synovitis score"), [], known)

    def _whole_frame(
        self, reading: Reading, what: str, finding: Term, numbers: list[Measurement],
        qualities: Sequence[QualitativeEvaluation] = (),
    ) -> Group:  # fmt: skip
        frame = self._frame_numbers(reading)
        source = SourceImageForMeasurementGroup(self._origin.SOPClassUID, self._origin.SOPInstanceUID, frame)
        return MeasurementsAndQualitativeEvaluations(
            self._tracking(reading, what),
            finding_type=_coded(finding),
            algorithm_id=self._algorithm,
            finding_sites=self._site,
            measurements=numbers or None,
            qualitative_evaluations=list(qualities) or None,
            source_images=[source],
        )

    def _tracking(self, reading: Reading, what: str) -> TrackingIdentifier:
        uid = result_uid(self._origin, KIND, self._making.model, str(reading.frame.index), what)
        return TrackingIdentifier(str(uid), f"{what}, frame {reading.frame.index + 1}")

    def _frame_of(self, reading: Reading) -> SourceImageForRegion:
        origin = self._origin
        return SourceImageForRegion(origin.SOPClassUID, origin.SOPInstanceUID, self._frame_numbers(reading))

    def _frame_numbers(self, reading: Reading) -> list[int] | None:
        return [reading.frame.index + 1] if "NumberOfFrames" in self._origin else None

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
    return ObserverContext(_coded(_DEVICE), device)


def _number(name: Term, value: float, unit: Term) -> Measurement:
    return Measurement(_coded(name), round(value, 2), _coded(unit))


def _quality(name: str, title: str, value: str) -> QualitativeEvaluation:
    return QualitativeEvaluation(_coded(private(name, title)), _coded(private(value.replace(" ", "_"), value)))


def _words(name: str) -> str:
    return name.replace("_", " ")


def _coded(term: Term) -> CodedConcept:
    return CodedConcept(term.value, term.scheme, term.meaning)
