"""Phantom samples as DICOM files: ultrasound images and cines that say plainly they show no patient.

write_dicom(samples, path)          one sample: US Image; several: US Multi-frame Image
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)

from datasets.dicom_header import age_text
from datasets.sample import Sample
from datasets.whole import unfinished
from model.anatomy import Laterality
from model.frame import Region, whole_frame

NOTICE: Final = "Simulated phantom, not a patient"
DEFAULT_FRAME_TIME_MS: Final = 40.0
PACKED: Final = {RLELossless: "pylibjpeg", JPEG2000Lossless: "pylibjpeg"}
"""The lossless compressions on offer, with their encoders."""

DEFAULT_DATE: Final = "20000101"
_TIME: Final = "000000"
_LETTER: Final = {Laterality.LEFT: "L", Laterality.RIGHT: "R"}
_CENTIMETRES, _NO_UNITS = 3, 0
_TISSUE, _COLOUR_FLOW = 1, 2


def write_dicom(
    samples: Iterable[Sample],
    path: Path,
    *,
    frame_time_ms: float = DEFAULT_FRAME_TIME_MS,
    transfer_syntax: str = ExplicitVRLittleEndian,
    study_date: str = DEFAULT_DATE,
) -> None:
    """Writes one file: a US image for one sample, a US multi-frame image for several of one size, study and scale.

    The same samples give the same file, byte for byte. `study_date` is YYYYMMDD. Raises ValueError for samples that
    are not one cine.
    """
    cine = tuple(samples)
    _check_one_cine(cine, transfer_syntax)
    dataset = _blank(cine)
    _add_patient_and_study(dataset, cine[0], study_date)
    _add_equipment_and_series(dataset, cine[0])
    _add_pixels(dataset, cine)
    _add_regions(dataset, cine[0])
    if len(cine) > 1:
        dataset.NumberOfFrames = len(cine)
        dataset.FrameTime = f"{frame_time_ms:.10g}"
        dataset.FrameIncrementPointer = 0x00181063
    if transfer_syntax in PACKED:
        _compress(dataset, UID(transfer_syntax))
    path.parent.mkdir(parents=True, exist_ok=True)
    with unfinished(path) as partial:
        dataset.save_as(partial, enforce_file_format=True)


def _compress(dataset: FileDataset, syntax: UID) -> None:
    if syntax == JPEG2000Lossless and dataset.SamplesPerPixel == 3:
        dataset.PhotometricInterpretation = "YBR_RCT"  # what the encoder is to make of the RGB samples
    dataset.compress(syntax, encoding_plugin=PACKED[syntax], generate_instance_uid=False)


def _check_one_cine(cine: Sequence[Sample], transfer_syntax: str) -> None:
    if not cine:
        raise ValueError("a DICOM file needs at least one sample, got none")
    if transfer_syntax != ExplicitVRLittleEndian and transfer_syntax not in PACKED:
        known = (ExplicitVRLittleEndian, *PACKED)
        raise ValueError(f"transfer syntax must be one of {known}, got {transfer_syntax!r}")
    first = cine[0]
    for sample in cine[1:]:
        for what, value, expected in (
            ("shape", sample.frame.pixels.shape, first.frame.pixels.shape),
            ("patient", sample.patient_id, first.patient_id),
            ("study", sample.study_id, first.study_id),
            ("regions", sample.frame.regions, first.frame.regions),
            ("side", sample.frame.laterality, first.frame.laterality),
        ):
            if value != expected:
                raise ValueError(f"samples of one file share one {what}: expected {expected}, got {value}")


def _blank(cine: Sequence[Sample]) -> FileDataset:
    sop_class = UltrasoundImageStorage if len(cine) == 1 else UltrasoundMultiFrameImageStorage
    digest = hashlib.sha256(b"".join(sample.frame.pixels.tobytes() for sample in cine)).hexdigest()
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = _uid(cine[0], "instance", str(cine[0].frame.index), digest)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    return dataset


def _add_patient_and_study(dataset: Dataset, sample: Sample, study_date: str) -> None:
    age = sample.frame.age_years
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName, dataset.PatientID = "Phantom^Simulated", sample.patient_id[:64]
    dataset.PatientBirthDate = dataset.PatientSex = ""
    dataset.PatientComments = NOTICE
    if age is not None:
        dataset.PatientAge = age_text(age)
    dataset.StudyInstanceUID = _uid(sample, "study")
    dataset.StudyID, dataset.AccessionNumber = sample.study_id[:16], ""
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = dataset.AcquisitionDateTime = study_date
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = _TIME
    dataset.ReferringPhysicianName = ""
    dataset.StudyDescription = f"Hip ultrasound. {NOTICE}"


def _add_equipment_and_series(dataset: Dataset, sample: Sample) -> None:
    dataset.Modality = "US"
    dataset.SeriesInstanceUID = _uid(sample, "series")
    dataset.SeriesNumber, dataset.InstanceNumber = 1, sample.frame.index + 1
    dataset.SeriesDescription = f"{sample.truth.view} ({NOTICE})"[:64]
    dataset.Manufacturer, dataset.ManufacturerModelName = "hipsono", "phantom"
    dataset.BodyPartExamined = "HIP"
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.DerivationDescription = NOTICE
    dataset.PatientOrientation = ""
    dataset.BurnedInAnnotation = "NO"
    dataset.LossyImageCompression = "00"
    side = _LETTER.get(sample.frame.laterality)
    if side:
        dataset.ImageLaterality = side
    if sample.acquisition.depth_mm is not None:
        dataset.DepthOfScanField = round(sample.acquisition.depth_mm)


def _add_pixels(dataset: Dataset, cine: Sequence[Sample]) -> None:
    frame = cine[0].frame
    dataset.Rows, dataset.Columns = frame.height, frame.width
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    is_colour = frame.colour is not None
    dataset.SamplesPerPixel = 3 if is_colour else 1
    dataset.PhotometricInterpretation = "RGB" if is_colour else "MONOCHROME2"
    dataset.UltrasoundColorDataPresent = int(is_colour)
    if is_colour:
        dataset.PlanarConfiguration = 0
    data = b"".join(np.ascontiguousarray(sample.frame.pixels).tobytes() for sample in cine)
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OB"


def _add_regions(dataset: Dataset, sample: Sample) -> None:
    frame = sample.frame
    regions = frame.regions or whole_frame(frame.width, frame.height, None)
    dataset.SequenceOfUltrasoundRegions = [_region(region) for region in regions]


def _region(region: Region) -> Dataset:
    item = Dataset()
    item.RegionSpatialFormat = 1
    item.RegionDataType = _COLOUR_FLOW if region.shows_flow else _TISSUE
    item.RegionFlags = 0
    item.RegionLocationMinX0, item.RegionLocationMinY0 = region.x0, region.y0
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = region.x1, region.y1
    units = _NO_UNITS if region.spacing_mm is None else _CENTIMETRES
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = units
    row, column = region.spacing_mm or (10.0, 10.0)
    item.PhysicalDeltaX, item.PhysicalDeltaY = column / 10, row / 10
    return item


def _uid(sample: Sample, *parts: str) -> UID:
    return generate_uid(entropy_srcs=["hipsono phantom", sample.patient_id, sample.study_id, *parts])
