"""What a result takes over from the instance it is about, and what says who made it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameSingleBitSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)

from datasets.dicom_header import read_date
from model.reading import NOTICE, ModelId
from serving.about import VERSION
from serving.dicom_out.codes import ARTIFICIAL_INTELLIGENCE

MAKER: Final = "hipsono"

_PATIENT_AND_STUDY: Final = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate", "StudyTime",
    "ReferringPhysicianName", "StudyID", "AccessionNumber",
)  # fmt: skip
_WHERE_THERE: Final = (
    "SpecificCharacterSet", "IssuerOfPatientID", "PatientAge", "StudyDescription", "PatientIdentityRemoved",
    "DeidentificationMethod", "DeidentificationMethodCodeSequence", "LongitudinalTemporalInformationModified",
)  # fmt: skip
_REFERRED_TO: Final = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
_RETIRED_CINE: Final = "1.2.840.10008.5.1.4.1.1.3"
_CINES: Final = frozenset(
    {
        UltrasoundMultiFrameImageStorage,
        _RETIRED_CINE,
        MultiFrameSingleBitSecondaryCaptureImageStorage,
        MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
        MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
        MultiFrameTrueColorSecondaryCaptureImageStorage,
    }
)
_TIME: Final = re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?")
_AGE: Final = re.compile(r"\d{3}[DWMY]")
_LOSSY: Final = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")


@dataclass(frozen=True, slots=True)
class Making:
    """Which network made a result, when, and a digest of what it was made of: scale, age, rules, all that was read."""

    model: ModelId
    at: datetime
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of result: its SOP class, modality, the number its series gets and what it is called."""

    sop_class: str
    modality: str
    series_number: int
    description: str


def begin(origin: Dataset, kind: Kind, making: Making) -> FileDataset:
    """A result of that kind with patient, study, series, equipment; its UIDs follow from origin, kind and making."""
    instance = result_uid(origin, kind, making, "instance")
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID(kind.sop_class), instance
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    result = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    result.SOPClassUID, result.SOPInstanceUID = meta.MediaStorageSOPClassUID, instance
    take_over(result, origin)
    result.Modality, result.SeriesNumber, result.InstanceNumber = kind.modality, kind.series_number, 1
    result.SeriesInstanceUID = result_uid(origin, kind, making, "series")
    result.SeriesDescription = f"{kind.description} ({NOTICE})"[:64]
    _equip(result, making)
    return result


def take_over(result: Dataset, origin: Dataset) -> None:
    """Patient and study as they are told of the instance; what must be there is there, if only empty."""
    for name in _PATIENT_AND_STUDY:
        setattr(result, name, origin.get(name, ""))
    for name in _WHERE_THERE:
        if name in origin:
            setattr(result, name, origin[name].value)


def conform(header: Dataset) -> Dataset:
    """A copy that results can be made of: patient and study are there, empty where they were missing or are no value
    of their kind (a birth in month 00), so that one odd attribute of a file costs none of its results.

    Raises ValueError where a UID is missing or is none: a result could not say what it is of.
    """
    whole = Dataset()
    whole.update(header)
    for name in _REFERRED_TO:
        if not UID(str(whole.get(name) or "")).is_valid:
            raise ValueError(f"its {name} is missing or no UID, so that no result can refer to it")
    for name, valid in _VALID.items():
        if name in whole:
            _replace(whole, name, valid(whole[name].value))
    for name in _PATIENT_AND_STUDY:
        if name not in whole:
            setattr(whole, name, "")
    return whole


def is_cine(origin: Dataset) -> bool:
    """Whether frames of the instance have numbers. A single picture may say that it has one frame, and is no cine."""
    return str(origin.SOPClassUID) in _CINES or frame_count(origin) > 1


def frame_count(origin: Dataset) -> int:
    """How many frames the header tells of."""
    return int(origin.get("NumberOfFrames") or 1)


def result_uid(origin: Dataset, kind: Kind, making: Making, *parts: str) -> UID:
    """The same for the same instance, kind, network, program and content: a result made again is the same object.

    Other content is another object: an archive that has the UID already answers success and keeps what it has.
    """
    made_by = (making.model.sha256, VERSION, making.digest)
    return generate_uid(entropy_srcs=[MAKER, str(origin.SOPInstanceUID), kind.sop_class, *made_by, *parts])


def take_over_compression(result: Dataset, origin: Dataset) -> None:
    """Lossy once is lossy for good."""
    for name in _LOSSY:
        if name in origin:
            setattr(result, name, origin[name].value)


def reference(origin: Dataset, frames: tuple[int, ...] = ()) -> Dataset:
    """The instance, or some of its frames (numbered from 1), as an item of a reference sequence."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = origin.SOPClassUID, origin.SOPInstanceUID
    if frames and is_cine(origin):
        item.ReferencedFrameNumber = list(frames)
    return item


def algorithm(model: ModelId) -> Dataset:
    """The network as an item of an algorithm identification sequence."""
    item = Dataset()
    item.AlgorithmFamilyCodeSequence = [ARTIFICIAL_INTELLIGENCE.item()]
    item.AlgorithmName, item.AlgorithmVersion = algorithm_words(model)
    return item


def algorithm_words(model: ModelId) -> tuple[str, str]:
    """The network's name and version as results tell them."""
    return f"{MAKER} {model.name}"[:64], f"{model.version} {model.sha256[:12]}"


def _equip(result: Dataset, making: Making) -> None:
    result.Manufacturer, result.ManufacturerModelName = MAKER, making.model.name
    result.DeviceSerialNumber, result.SoftwareVersions = making.model.sha256[:16], VERSION
    tell_when(result, making)


def tell_when(result: Dataset, making: Making) -> None:
    """Date and time of a result's content and series."""
    result.ContentDate = result.SeriesDate = making.at.strftime("%Y%m%d")
    result.ContentTime = result.SeriesTime = making.at.strftime("%H%M%S")


def _replace(copy: Dataset, name: str, value: str) -> None:
    """Setting a value alone would set it in the original too, which shares its elements."""
    del copy[name]
    if value:
        setattr(copy, name, value)


def _day(value: Any) -> str:
    day = read_date(value)
    return f"{day:%Y%m%d}" if day is not None else ""


def _like(pattern: re.Pattern[str]) -> Callable[[Any], str]:
    """The value where it is one of the pattern, else nothing."""
    return lambda value: text if pattern.fullmatch(text := str(value or "").strip().replace(":", "")) else ""


def _one_of(*letters: str) -> Callable[[Any], str]:
    return lambda value: text if (text := str(value or "").strip().upper()) in letters else ""


_VALID: Final[dict[str, Callable[[Any], str]]] = {
    "PatientBirthDate": _day,
    "StudyDate": _day,
    "StudyTime": _like(_TIME),
    "PatientSex": _one_of("M", "F", "O"),
    "PatientAge": _like(_AGE),
    "Laterality": _one_of("L", "R"),
    "ImageLaterality": _one_of("L", "R"),
}
