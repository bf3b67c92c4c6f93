"""What validators pass over: rules of ultrasound results that dciodvfy is silent about, looked at before one goes out.

Segmentations: PS3.3 A.51, C.7.6.17, C.8.20.2 for a source without a Frame of Reference. Reports: the rows of PS3.16
TID 1500, 1501, 1410 and 4019 that must be there.
"""

from collections.abc import Iterator
from typing import Final

from pydicom.dataset import Dataset

from serving.dicom_out.codes import FRAMES_ANALYSED
from serving.dicom_out.origin import frame_count, is_cine

_NEED_A_PLACE: Final = ("PixelMeasuresSequence", "PlanePositionSequence", "PlaneOrientationSequence")
_MEASUREMENT_REPORT, _MEASUREMENTS, _GROUP = "126000", "126010", "125007"
_ROWS: Final = {"121005": "observer type", "121012": "device observer UID", "121058": "procedure reported"}
_FINDING: Final = "121071"
_GROUP_ROWS: Final = {
    "112039": "tracking identifier", "112040": "tracking unique identifier", _FINDING: "finding",
    "111001": "algorithm name", "111003": "algorithm version",
}  # fmt: skip


def seg_faults(seg: Dataset, origin: Dataset) -> tuple[str, ...]:
    """What is wrong with a segmentation of an instance, given the instance's header; nothing where all is well."""
    groups = seg.get("PerFrameFunctionalGroupsSequence") or ()
    return (
        *_place_faults(seg, groups),
        *(f"frame {k}: {one}" for k, group in enumerate(groups, start=1) for one in _source_faults(group, origin)),
        *_count_faults(seg, groups, origin),
    )


def sr_faults(report: Dataset, origin: Dataset) -> tuple[str, ...]:
    """What is wrong with a report on an instance, given the instance's header; nothing where all is well."""
    faults = [] if _code(report) == _MEASUREMENT_REPORT else ["its title is not Imaging Measurement Report"]
    there = {_code(item) for item in report.get("ContentSequence") or ()}
    faults += [f"no {name} ({code}, TID 1500)" for code, name in _ROWS.items() if code not in there]
    groups = [item for item in _items(report) if _code(item) == _GROUP]
    if _MEASUREMENTS not in there or not groups:
        faults.append("no measurement group (TID 1500)")
    if not any(FRAMES_ANALYSED.value in _findings(group) for group in groups):
        faults.append("no list of the frames that were looked at")
    for number, group in enumerate(groups, start=1):
        faults += [f"measurement group {number}: {one}" for one in _group_faults(group, origin)]
    return tuple(faults)


def _place_faults(seg: Dataset, groups: tuple[Dataset, ...]) -> Iterator[str]:
    if "FrameOfReferenceUID" in seg:
        yield "a Frame of Reference, which ultrasound has none of"
    for where in (*(seg.get("SharedFunctionalGroupsSequence") or ()), *groups):
        yield from (f"{name} without a Frame of Reference" for name in _NEED_A_PLACE if name in where)


def _source_faults(group: Dataset, origin: Dataset) -> Iterator[str]:
    sources = [source for one in group.get("DerivationImageSequence") or () for source in one.SourceImageSequence]
    if len(sources) != 1 or sources[0].ReferencedSOPInstanceUID != origin.SOPInstanceUID:
        yield "it does not say of which picture it is"
        return
    yield from _number_faults(sources[0], origin)
    at = group.FrameContentSequence[0].get("TemporalPositionIndex")
    if is_cine(origin) and at != sources[0].get("ReferencedFrameNumber"):
        yield f"its place in time {at} is not its source's frame"


def _count_faults(seg: Dataset, groups: tuple[Dataset, ...], origin: Dataset) -> Iterator[str]:
    if len(groups) != int(seg.get("NumberOfFrames") or 0):
        yield f"{seg.get('NumberOfFrames')} frames announced, {len(groups)} described"
    if (seg.get("Rows"), seg.get("Columns")) != (origin.get("Rows"), origin.get("Columns")):
        yield "its size is not its source's, so its pixels are nowhere"
    known = {segment.SegmentNumber for segment in seg.get("SegmentSequence") or ()}
    used = {group.SegmentIdentificationSequence[0].ReferencedSegmentNumber for group in groups}
    yield from (f"segment {number} is not described" for number in sorted(used - known))


def _group_faults(group: Dataset, origin: Dataset) -> Iterator[str]:
    there = {_code(item) for item in _items(group)}
    yield from (f"no {name} ({code})" for code, name in _GROUP_ROWS.items() if code not in there)
    images = [item.ReferencedSOPSequence[0] for item in _items(group) if "ReferencedSOPSequence" in item]
    if not images:
        yield "it names no picture"
    for image in images:
        if image.ReferencedSOPInstanceUID != origin.SOPInstanceUID:
            yield "it names another picture"
        yield from _number_faults(image, origin)
    for item in _items(group):
        if item.get("ValueType") == "SCOORD" and not _inside(item, origin):
            yield "a point outside the picture"


def _number_faults(reference: Dataset, origin: Dataset) -> Iterator[str]:
    """A frame of a cine is named, and it exists; a single picture has no number."""
    number = reference.get("ReferencedFrameNumber")
    if not is_cine(origin):
        if number is not None:
            yield "a frame number of a single picture"
        return
    numbers = [] if number is None else list(number) if hasattr(number, "append") else [number]
    if not numbers:
        yield "no frame number, though its source is a cine"
    yield from (f"frame {one} does not exist" for one in numbers if not 1 <= one <= frame_count(origin))


def _inside(item: Dataset, origin: Dataset) -> bool:
    x, y = list(item.GraphicData)[0::2], list(item.GraphicData)[1::2]
    return all(0 <= one <= origin.Columns for one in x) and all(0 <= one <= origin.Rows for one in y)


def _findings(group: Dataset) -> set[str]:
    """What a measurement group is about, as codes."""
    there = group.get("ContentSequence") or ()
    return {str(item.ConceptCodeSequence[0].CodeValue) for item in there if _code(item) == _FINDING}


def _items(dataset: Dataset) -> Iterator[Dataset]:
    for item in dataset.get("ContentSequence") or ():
        yield item
        yield from _items(item)


def _code(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence") or ()
    return str(names[0].CodeValue) if names else ""
