"""Structures as a DICOM Segmentation: binary, of a single picture or of a cine that has no frame of reference.

PS3.3 A.51 without a frame of reference: every segmented frame is derived from a frame of the source, pixel for pixel,
so position, orientation and pixel size are left out; the scale stays in the source's ultrasound regions.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.pixels.utils import pack_bits
from pydicom.uid import SegmentationStorage, generate_uid

from model.anatomy import STRUCTURES, Laterality, Structure
from model.geometry import fill
from model.reading import Reading
from serving.dicom_out.codes import (
    ANATOMICAL_STRUCTURE,
    HIP_JOINT,
    SEGMENTATION,
    SIDES,
    SOURCE_FOR_PROCESSING,
    structure_term,
)
from serving.dicom_out.origin import (
    Kind,
    Making,
    algorithm,
    algorithm_words,
    begin,
    is_cine,
    reference,
    result_uid,
    take_over_compression,
)

KIND: Final = Kind(SegmentationStorage, "SEG", 9101, "Hip structures")
_SEGMENT_NUMBER, _IDENTIFICATION = 0x0062000B, 0x0062000A
_TEMPORAL_INDEX, _FRAME_CONTENT = 0x00209128, 0x00209111

Mask = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Segmented:
    """A structure's pixels (H, W) of 0 and 1 in one frame of the source, numbered from 1."""

    structure: Structure
    frame_number: int
    mask: Mask


def segment(reading: Reading) -> tuple[Segmented, ...]:
    """The structures of a reading as masks; one without a pixel is left out."""
    size = (reading.frame.height, reading.frame.width)
    found = {one.name: one for one in reading.structures}
    masks = ((s, fill(found[s.name].contours, *size).view(np.uint8)) for s in STRUCTURES if s.name in found)
    return tuple(Segmented(s, reading.frame.index + 1, mask) for s, mask in masks if mask.any())


def build_seg(origin: Dataset, segmented: Iterable[Segmented], side: Laterality, making: Making) -> FileDataset | None:
    """The segmentation of an instance, given its header (`conform`); None where nothing was found in any frame.

    `segmented` in the order of frames. Raises ValueError for masks of another size than the instance's frames.
    """
    by_structure: dict[int, list[Segmented]] = {}
    for one in segmented:
        if one.mask.shape != (origin.Rows, origin.Columns):
            raise ValueError(f"a mask of {one.mask.shape} does not fit frames of {origin.Rows} x {origin.Columns}")
        by_structure.setdefault(one.structure.id, []).append(one)
    if not by_structure:
        return None
    groups = [by_structure[key] for key in sorted(by_structure)]
    result = begin(origin, KIND, making)
    _describe(result, origin, groups)
    result.SegmentSequence = [
        _segment(number, group[0].structure, side, origin, making) for number, group in enumerate(groups, start=1)
    ]
    _index_frames(result, origin, groups)
    stack = np.stack([one.mask for group in groups for one in group])
    result.NumberOfFrames = len(stack)
    result.PixelData = pack_bits(stack)
    result["PixelData"].VR = "OB"
    return result


def _describe(result: Dataset, origin: Dataset, groups: list[list[Segmented]]) -> None:
    result.ImageType = ["DERIVED", "PRIMARY"]
    result.PatientOrientation = ""
    take_over_compression(result, origin)
    result.Rows, result.Columns = origin.Rows, origin.Columns
    result.SamplesPerPixel, result.PhotometricInterpretation = 1, "MONOCHROME2"
    result.BitsAllocated, result.BitsStored, result.HighBit, result.PixelRepresentation = 1, 1, 0, 0
    result.SegmentationType, result.SegmentsOverlap = "BINARY", "YES" if _overlap(groups) else "NO"
    result.ContentLabel, result.ContentDescription, result.ContentCreatorName = "HIP", "Hip structures", ""
    series = Dataset()
    series.SeriesInstanceUID = origin.SeriesInstanceUID
    series.ReferencedInstanceSequence = [reference(origin)]
    result.ReferencedSeriesSequence = [series]


def _overlap(groups: list[list[Segmented]]) -> bool:
    """Whether two structures share a pixel of one frame."""
    taken: dict[int, Mask] = {}
    for one in (one for group in groups for one in group):
        before = taken.get(one.frame_number)
        if before is not None and (before & one.mask).any():
            return True
        taken[one.frame_number] = one.mask if before is None else before | one.mask
    return False


def _segment(number: int, structure: Structure, side: Laterality, origin: Dataset, making: Making) -> Dataset:
    item = Dataset()
    item.SegmentNumber, item.SegmentLabel = number, structure.title
    item.SegmentAlgorithmType, item.SegmentAlgorithmName = "AUTOMATIC", algorithm_words(making.model)[0]
    item.SegmentationAlgorithmIdentificationSequence = [algorithm(making.model)]
    item.SegmentedPropertyCategoryCodeSequence = [ANATOMICAL_STRUCTURE.item()]
    item.SegmentedPropertyTypeCodeSequence = [structure_term(structure).item()]
    region = HIP_JOINT.item()
    if side in SIDES:
        region.AnatomicRegionModifierSequence = [SIDES[side].item()]
    item.AnatomicRegionSequence = [region]
    item.TrackingID = structure.name
    item.TrackingUID = result_uid(origin, KIND, making, "tracking", structure.name)
    return item


def _index_frames(result: Dataset, origin: Dataset, groups: list[list[Segmented]]) -> None:
    """Dimensions: the segment, then, in a cine, the place of the frame in time."""
    in_time = is_cine(origin)
    organisation = Dataset()
    organisation.DimensionOrganizationUID = generate_uid(entropy_srcs=[str(result.SOPInstanceUID), "dimensions"])
    result.DimensionOrganizationSequence = [organisation]
    pointers = [(_SEGMENT_NUMBER, _IDENTIFICATION)] + ([(_TEMPORAL_INDEX, _FRAME_CONTENT)] if in_time else [])
    result.DimensionIndexSequence = [_dimension(organisation, pointer, group) for pointer, group in pointers]
    result.SharedFunctionalGroupsSequence = [Dataset()]
    times = sorted({one.frame_number for group in groups for one in group})
    result.PerFrameFunctionalGroupsSequence = [
        _functional_groups(origin, number, one, times.index(one.frame_number) + 1 if in_time else None)
        for number, group in enumerate(groups, start=1)
        for one in group
    ]


def _dimension(organisation: Dataset, pointer: int, group: int) -> Dataset:
    item = Dataset()
    item.DimensionOrganizationUID = organisation.DimensionOrganizationUID
    item.DimensionIndexPointer, item.FunctionalGroupPointer = pointer, group
    return item


def _functional_groups(origin: Dataset, number: int, one: Segmented, rank: int | None) -> Dataset:
    source = reference(origin, (one.frame_number,))
    source.SpatialLocationsPreserved = "YES"
    source.PurposeOfReferenceCodeSequence = [SOURCE_FOR_PROCESSING.item()]
    derived, content, which = Dataset(), Dataset(), Dataset()
    derived.DerivationCodeSequence, derived.SourceImageSequence = [SEGMENTATION.item()], [source]
    content.DimensionIndexValues = [number] if rank is None else [number, rank]
    if rank is not None:
        content.TemporalPositionIndex = one.frame_number
    which.ReferencedSegmentNumber = number
    item = Dataset()
    item.DerivationImageSequence, item.FrameContentSequence = [derived], [content]
    item.SegmentIdentificationSequence = [which]
    return item
