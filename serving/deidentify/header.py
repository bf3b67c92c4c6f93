"""A header written afresh from an allow-list: what is not named here does not pass, at any depth.

Stricter than the Basic Application Level Confidentiality Profile (PS3.15 Annex E), with its options Retain
Longitudinal Temporal Information With Modified Dates and Retain Patient Characteristics (sex, age).
"""

import re
from collections.abc import Iterator
from typing import Final

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import (
    UID,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
)

from datasets.dicom_header import age_text, read_age, read_date, read_laterality
from model.anatomy import Laterality
from serving.deidentify.pseudonyms import Pseudonyms

CAPTURES_OF_FRAMES: Final = (
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
)
SOP_CLASSES: Final = (
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
    UID("1.2.840.10008.5.1.4.1.1.6"),
    UID("1.2.840.10008.5.1.4.1.1.3"),
    SecondaryCaptureImageStorage,
    *CAPTURES_OF_FRAMES,
)
"""Ultrasound, the retired classes of old archives too, and captures of it. Any other class is refused."""

METHOD: Final = "hipsono: allow-list, dates shifted, blanked around the sector"
BASIC_PROFILE: Final = codes.DCM.BasicApplicationConfidentialityProfile
CLEAN_PIXELS: Final = codes.DCM.CleanPixelDataOption
_OPTIONS: Final = (
    BASIC_PROFILE,
    codes.DCM.RetainLongitudinalTemporalInformationModifiedDatesOption,
    codes.DCM.RetainPatientCharacteristicsOption,
)

_NUMBERS: Final = (
    "SeriesNumber", "InstanceNumber", "FrameTime", "FrameTimeVector", "CineRate", "RecommendedDisplayFrameRate",
    "DepthOfScanField", "MechanicalIndex", "SoftTissueThermalIndex", "BoneThermalIndex", "CranialThermalIndex",
)  # fmt: skip
_REGION_NUMBERS: Final = (
    "RegionSpatialFormat", "RegionDataType", "RegionFlags", "RegionLocationMinX0", "RegionLocationMinY0",
    "RegionLocationMaxX1", "RegionLocationMaxY1", "ReferencePixelX0", "ReferencePixelY0",
    "ReferencePixelPhysicalValueX", "ReferencePixelPhysicalValueY", "PhysicalUnitsXDirection",
    "PhysicalUnitsYDirection", "PhysicalDeltaX", "PhysicalDeltaY", "TransducerFrequency", "PulseRepetitionFrequency",
    "DopplerCorrectionAngle",
)  # fmt: skip
_WORDS: Final = ("Manufacturer", "ManufacturerModelName")
_ENUMERATED: Final = {
    "Modality": ("US", "IVUS", "OT"),
    "PatientSex": ("M", "F", "O"),
    "BodyPartExamined": ("HIP", "PELVIS", "LEG", "THIGH", "EXTREMITY"),
    "LossyImageCompression": ("00", "01"),
    "ConversionType": ("DV", "DI", "DF", "WSD", "SD", "SI", "DRW", "SYN"),
}
_DATES: Final = ("StudyDate", "SeriesDate", "ContentDate", "AcquisitionDate")
_YEARS: Final = range(1980, 2100)
"""Of ultrasound as DICOM. A date out of them is a filler, such as 00010101: shifted, it would tell by how many days."""
_UIDS: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_EMPTY: Final = (
    "PatientBirthDate", "StudyTime", "ReferringPhysicianName", "StudyID", "AccessionNumber", "PatientOrientation",
)  # fmt: skip
_SIDE: Final = {Laterality.LEFT: "L", Laterality.RIGHT: "R"}
_OLDEST_YEARS: Final = 90
"""Who is older is that old: so few are that an age tells them (45 CFR 164.514(b)(2))."""

_TELLING: Final = frozenset({"PN", "LO", "SH", "LT", "ST", "UT", "UC", "UI", "DA", "DT", "AE", "UR"})
_OURS: Final = (
    "SOPClassUID",
    "SpecificCharacterSet",
    "DeidentificationMethod",
    "CodeValue",
    "CodingSchemeDesignator",
    "CodeMeaning",
)
_LEAST_CHARS: Final = 3


def clean_header(header: Dataset, pseudonyms: Pseudonyms) -> Dataset:
    """What may be told of an instance, but for its pixels; flagged as not yet seen by a person.

    Raises ValueError where an instance has no UIDs to go by, or is of no SOP class that is known here.
    """
    patient = patient_of(header, pseudonyms)
    cleaned = Dataset()
    cleaned.SpecificCharacterSet = "ISO_IR 192"
    for name in _UIDS:
        if not header.get(name):
            raise ValueError(f"it has no {name}: its relations cannot be kept")
        setattr(cleaned, name, pseudonyms.uid(str(header[name].value)))
    cleaned.SOPClassUID = _sop_class(header)
    cleaned.PatientName, cleaned.PatientID = f"{patient}^", patient
    for name in _EMPTY:
        setattr(cleaned, name, "")
    cleaned.PatientSex = ""
    _take_over(cleaned, header)
    _tell_when(cleaned, header, pseudonyms, patient)
    _flag(cleaned)
    return cleaned


def _sop_class(header: Dataset) -> UID:
    """The class out of our own table. Raises ValueError for another, which is not quoted: any text may stand there."""
    for known in SOP_CLASSES:
        if header.get("SOPClassUID") == known:
            return known
    raise ValueError("its SOP class is neither ultrasound nor a secondary capture: export it as one of these")


def patient_of(header: Dataset, pseudonyms: Pseudonyms) -> str:
    """The patient's pseudonym."""
    return pseudonyms.patient(str(header.get("PatientID") or ""), str(header.get("StudyInstanceUID") or ""))


def identifying_words(header: Dataset) -> frozenset[str]:
    """The texts of the original that must not be found again, in lower case: names also word by word.

    Texts that the allow-list passes on are among them only if another attribute holds them too.
    """
    words: set[str] = set()
    for element in _elements(header):
        if element.VR not in _TELLING or element.keyword in (*_WORDS, *_ENUMERATED, "SOPClassUID"):
            continue
        for text in _texts(element):
            words.add(text)
            if element.VR == "PN":
                words.update(re.split(r"[\^=\s,]+", text))
    return frozenset(word for word in words if len(word) >= _LEAST_CHARS)


def residue(cleaned: Dataset, words: frozenset[str]) -> tuple[str, ...]:
    """The attributes of a cleaned header in which one of the original's words stands, by keyword."""
    found = []
    for element in _elements(cleaned):
        if element.VR in _TELLING and element.keyword not in (*_DATES, *_OURS):
            found += [element.keyword for text in _texts(element) if words & {text, *re.split(r"[\^=\s,]+", text)}]
    return tuple(found)


def _take_over(cleaned: Dataset, header: Dataset) -> None:
    for name in _NUMBERS:
        _copy_number(cleaned, header, name)
    for name, allowed in _ENUMERATED.items():
        if header.get(name) in allowed:
            setattr(cleaned, name, header.get(name))
    words = identifying_words(header)
    for name in _WORDS:
        text = str(header.get(name) or "")
        is_telling = any(word in text.lower() for word in words)
        setattr(cleaned, name, "" if is_telling else text)
    age = read_age(header)
    if age is not None:
        cleaned.PatientAge = age_text(min(age, _OLDEST_YEARS))
    side, _ = read_laterality(header)
    if side in _SIDE:
        cleaned.ImageLaterality = _SIDE[side]
    else:
        cleaned.Laterality = ""
    regions = [_region(item) for item in header.get("SequenceOfUltrasoundRegions") or ()]
    if regions:
        cleaned.SequenceOfUltrasoundRegions = regions


def _region(item: Dataset) -> Dataset:
    region = Dataset()
    for name in _REGION_NUMBERS:
        _copy_number(region, item, name)
    return region


def _copy_number(into: Dataset, source: Dataset, name: str) -> None:
    """A numeric attribute, only if it is one: a text in its place does not pass."""
    value = source.get(name)
    if value is None or value == "":
        return
    values = list(value) if isinstance(value, list | tuple) or hasattr(value, "append") else [value]
    if all(isinstance(one, int | float) for one in values):
        setattr(into, name, value)


def _tell_when(cleaned: Dataset, header: Dataset, pseudonyms: Pseudonyms, patient: str) -> None:
    cleaned.StudyDate = ""
    for name in _DATES:
        day = read_date(str(header.get(name) or "").replace("-", ""))
        if day is not None and day.year in _YEARS:
            setattr(cleaned, name, pseudonyms.shifted(day, patient).strftime("%Y%m%d"))
    cleaned.LongitudinalTemporalInformationModified = "MODIFIED"


def _flag(cleaned: Dataset) -> None:
    cleaned.PatientIdentityRemoved = "NO"
    cleaned.BurnedInAnnotation = "YES"
    cleaned.DeidentificationMethod = METHOD
    cleaned.DeidentificationMethodCodeSequence = [code_item(code) for code in _OPTIONS]


def code_item(code: Code) -> Dataset:
    """A code as an item of a sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item


def _elements(dataset: Dataset) -> Iterator[DataElement]:
    """Every element at every depth; one that cannot be read tells nothing."""
    for tag in list(dataset.keys()):
        try:
            element = dataset[tag]
        except Exception:
            continue
        if element.VR == "SQ":
            for item in element.value or ():
                yield from _elements(item)
        else:
            yield element


def _texts(element: DataElement) -> list[str]:
    value = element.value
    values = list(value) if isinstance(value, list | tuple) or hasattr(value, "append") else [value]
    return [text for text in (str(one).strip().lower() for one in values if one is not None) if text]
