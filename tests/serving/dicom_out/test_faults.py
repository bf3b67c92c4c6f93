"""What dciodvfy is silent about is caught: each rule broken once, in a segmentation and a report that break none."""

import copy
import io

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from model.anatomy import View
from serving.dicom_out.faults import seg_faults, sr_faults
from serving.dicom_out.sr import build_sr
from tests.serving.dicom_out.conftest import looked, seg_of


@pytest.fixture
def of(read):
    return read[View.LONGITUDINAL, 3]


@pytest.fixture
def seg(of, making):
    return as_read(seg_of(of, making))


@pytest.fixture
def report(of, making):
    header, frames, readings = of
    return as_read(build_sr(header, looked(readings[1:2]), frames[0].laterality, making))


def as_read(result):
    """A data set without the habits of the library that built it."""
    buffer = io.BytesIO()
    result.save_as(buffer, enforce_file_format=True)
    buffer.seek(0)
    return pydicom.dcmread(buffer)


def test_ours_break_none(read, making):
    for header, frames, readings in read.values():
        assert seg_faults(seg_of((header, frames, readings), making), header) == ()
        assert sr_faults(build_sr(header, looked(readings[:1]), frames[0].laterality, making), header) == ()


def place(seg):
    seg.FrameOfReferenceUID = generate_uid()


def measures(seg):
    seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence = [Dataset()]


def position(seg):
    seg.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence = [Dataset()]


def source_of(seg):
    return seg.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence[0]


def unnumbered(seg):
    del source_of(seg).ReferencedFrameNumber


def beyond(seg):
    source_of(seg).ReferencedFrameNumber = 9


def of_another(seg):
    source_of(seg).ReferencedSOPInstanceUID = generate_uid()


def sourceless(seg):
    del seg.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence


def out_of_time(seg):
    seg.PerFrameFunctionalGroupsSequence[0].FrameContentSequence[0].TemporalPositionIndex = 7


def fewer(seg):
    del seg.PerFrameFunctionalGroupsSequence[-1]


def smaller(seg):
    seg.Rows -= 1


def undescribed(seg):
    seg.PerFrameFunctionalGroupsSequence[0].SegmentIdentificationSequence[0].ReferencedSegmentNumber = 77


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (place, "Frame of Reference"), (measures, "PixelMeasures"), (position, "PlanePosition"),
        (unnumbered, "no frame number"), (beyond, "frame 9"), (of_another, "of which picture"),
        (sourceless, "of which picture"), (out_of_time, "place in time"), (fewer, "announced"), (smaller, "size"),
        (undescribed, "segment 77"),
    ],
)  # fmt: skip
def test_a_segmentation_that_breaks_a_rule_is_caught(seg, of, broken, told):
    broken(seg)
    assert any(told in fault for fault in seg_faults(seg, of[0]))


def without(items, code):
    for item in list(items):
        names = item.get("ConceptNameCodeSequence")
        if names and names[0].CodeValue == code:
            items.remove(item)
        elif "ContentSequence" in item:
            without(item.ContentSequence, code)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("121005", "observer type"), ("121012", "device observer"), ("121058", "procedure"),
        ("126010", "no measurement"), ("125007", "no measurement"), ("112039", "tracking identifier"),
        ("112040", "tracking unique"), ("121071", "finding"), ("111001", "algorithm name"),
        ("111003", "algorithm version"),
    ],
)  # fmt: skip
def test_a_report_without_a_row_is_caught(report, of, code, told):
    without(report.ContentSequence, code)
    assert any(told in fault for fault in sr_faults(report, of[0]))


def test_a_report_that_does_not_list_the_frames_looked_at_is_caught(report, of):
    (measured,) = (item for item in report.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "126010")
    del measured.ContentSequence[0]
    assert sr_faults(report, of[0]) == ("no list of the frames that were looked at",)


def images(items):
    for item in items:
        yield from item.get("ReferencedSOPSequence") or ()
        yield from images(item.get("ContentSequence") or ())


def points(items):
    for item in items:
        if item.get("ValueType") == "SCOORD":
            yield item
        yield from points(item.get("ContentSequence") or ())


def test_a_report_on_no_frame_another_picture_or_a_point_outside_is_caught(report, of):
    header = of[0]
    numberless, other, outside = (copy.deepcopy(report) for _ in range(3))
    for image in images(numberless.ContentSequence[-1].ContentSequence):
        del image.ReferencedFrameNumber
    assert any("no frame number" in fault for fault in sr_faults(numberless, header))
    next(images(other.ContentSequence[-1].ContentSequence)).ReferencedSOPInstanceUID = generate_uid()
    assert any("another picture" in fault for fault in sr_faults(other, header))
    next(points(outside.ContentSequence[-1].ContentSequence)).GraphicData = [-4.0, 2.0]
    assert any("outside" in fault for fault in sr_faults(outside, header))
