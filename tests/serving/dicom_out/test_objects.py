"""Results as DICOM objects: valid by the standard's validator, and the same pixels and values when read back."""

import copy
import shutil
import subprocess
from dataclasses import replace

import highdicom
import numpy as np
import pydicom
import pytest

from model.anatomy import STRUCTURES, Laterality, View, structure
from model.grade import Pdus, combine
from serving.dicom_out.capture import build_capture
from serving.dicom_out.codes import structure_term
from serving.dicom_out.origin import conform
from serving.dicom_out.seg import Segmented, build_seg, segment
from serving.dicom_out.sr import build_sr
from serving.overlay import draw_overlay
from tests.serving.dicom_out.conftest import SEEDS, complaints, looked, needs_dciodvfy, seg_of, written
from tests.ungraded import not_gradable

needs_dsrdump = pytest.mark.skipif(not shutil.which("dsrdump"), reason="no dsrdump: install dcmtk")


@pytest.fixture(params=[(view, count) for view in SEEDS for count in (1, 3)], ids=lambda p: f"{p[0]}-{p[1]}")
def case(request, read):
    return read[request.param]


@needs_dciodvfy
def test_every_object_is_valid(case, making, tmp_path):
    header, frames, readings = case
    pictures = [draw_overlay(frame, reading) for frame, reading in zip(frames, readings, strict=True)]
    for result in (
        seg_of(case, making),
        build_sr(header, looked(readings), frames[0].laterality, making),
        build_capture(header, pictures, range(len(frames)), making),
    ):
        assert complaints(written(result, tmp_path)) == []


@needs_dciodvfy
@pytest.mark.parametrize("side", [Laterality.LEFT, Laterality.UNKNOWN])
def test_objects_of_a_lossy_nameless_file_are_valid(read, making, tmp_path, side):
    header, frames, readings = read[View.LONGITUDINAL, 3]
    bare = pydicom.Dataset()
    bare.update(header)
    for name in ("PatientName", "PatientID", "PatientAge", "ImageLaterality", "StudyID"):
        if name in bare:
            del bare[name]
    bare.LossyImageCompression, bare.LossyImageCompressionRatio, bare.LossyImageCompressionMethod = (
        "01", 12, "ISO_10918_1",
    )  # fmt: skip
    bare = conform(bare)
    segmentation = build_seg(bare, [one for reading in readings for one in segment(reading)], side, making)
    assert segmentation.LossyImageCompression == "01"
    capture = build_capture(bare, [draw_overlay(frames[0], readings[0])], [0], making)
    assert capture.LossyImageCompression == "01"
    for result in (segmentation, build_sr(bare, looked(readings), side, making), capture):
        assert complaints(written(result, tmp_path), ("Error",)) == []


def test_a_segmentation_reads_back_pixel_for_pixel(case, making, tmp_path):
    header, frames, readings = case
    path = written(seg_of(case, making), tmp_path)
    told = highdicom.seg.segread(path)
    numbers = list(range(1, len(frames) + 1))
    if len(frames) == 1:
        back = told.get_pixels_by_source_instance([header.SOPInstanceUID], assert_missing_frames_are_empty=True)
    else:
        back = told.get_pixels_by_source_frame(header.SOPInstanceUID, numbers, assert_missing_frames_are_empty=True)
    labels = [one.SegmentLabel for one in told.SegmentSequence]
    for k, reading in enumerate(readings):
        masks = {one.structure.title: one.mask for one in segment(reading)}
        for segment_index, label in enumerate(labels):
            expected = masks.get(label, np.zeros((header.Rows, header.Columns), np.uint8))
            assert np.array_equal(back[k, :, :, segment_index], expected), (k, label)


def test_masks_of_any_size_are_packed_without_padding(read, making, tmp_path):
    header, *_ = read[View.ILIOPECTINEAL, 3]
    odd = copy.deepcopy(header)  # a data set made by update() shares its elements
    odd.Rows, odd.Columns = 37, 41
    rng = np.random.default_rng(0)
    masks = [
        Segmented(STRUCTURES[k], frame, rng.integers(0, 2, (37, 41), np.uint8)) for k in (0, 3) for frame in (1, 3)
    ]
    result = build_seg(odd, masks, Laterality.UNKNOWN, making)
    assert result.SegmentsOverlap == "YES"
    back = pydicom.dcmread(written(result, tmp_path)).pixel_array
    assert np.array_equal(back, [one.mask for one in masks])


def test_a_segmentation_names_its_frames_and_invents_no_place(read, making):
    header, *_ = case = read[View.LONGITUDINAL, 3]
    result = seg_of(case, making)
    assert "FrameOfReferenceUID" not in result
    (shared,) = result.SharedFunctionalGroupsSequence
    assert len(shared) == 0
    for groups in result.PerFrameFunctionalGroupsSequence:
        assert "PixelMeasuresSequence" not in groups and "PlanePositionSequence" not in groups
        source = groups.DerivationImageSequence[0].SourceImageSequence[0]
        assert source.ReferencedSOPInstanceUID == header.SOPInstanceUID
        assert source.ReferencedFrameNumber == groups.FrameContentSequence[0].TemporalPositionIndex
    assert result.StudyInstanceUID == header.StudyInstanceUID
    assert result.PatientID == header.PatientID


def test_nothing_found_gives_no_segmentation_and_a_wrong_size_is_refused(read, making):
    header, *_ = read[View.LONGITUDINAL, 3]
    assert build_seg(header, [], Laterality.LEFT, making) is None
    with pytest.raises(ValueError, match="does not fit"):
        build_seg(header, [Segmented(STRUCTURES[0], 1, np.ones((5, 5), np.uint8))], Laterality.LEFT, making)


def groups_of(report):
    """Each measurement group: its tracking identifier and its items."""
    found = {}

    def walk(items):
        for item in items:
            if item.get("ConceptNameCodeSequence") and item.ConceptNameCodeSequence[0].CodeValue == "125007":
                name = next(one.TextValue for one in item.ContentSequence if one.ValueType == "TEXT")
                found[name] = item.ContentSequence
            elif "ContentSequence" in item:
                walk(item.ContentSequence)

    walk(report.ContentSequence)
    return found


def test_a_report_tells_what_the_reading_tells(read, making, tmp_path):
    header, frames, readings = read[View.LONGITUDINAL, 3]
    report = pydicom.dcmread(written(build_sr(header, looked(readings[1:2]), frames[0].laterality, making), tmp_path))
    groups, reading = groups_of(report), readings[1]
    for point in reading.landmarks:
        items = groups[f"landmark {point.name}, frame 2"]
        place = next(one for one in items if one.ValueType == "SCOORD")
        assert place.GraphicData == pytest.approx([point.x + 0.5, point.y + 0.5], abs=1e-3)
        assert place.ContentSequence[0].ReferencedSOPSequence[0].ReferencedFrameNumber == 2
    distance = next(one for one in reading.measurements if one.name == "capsule_distance")
    number = next(one for one in groups["measurement capsule_distance, frame 2"] if one.ValueType == "NUM")
    assert float(number.MeasuredValueSequence[0].NumericValue) == pytest.approx(distance.value, abs=0.005)
    assert number.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue == "mm"
    grades = [one for one in groups["solar, frame 2"] if one.ValueType == "CODE"]
    told = {one.ConceptNameCodeSequence[0].CodeMeaning: one.ConceptCodeSequence[0].CodeMeaning for one in grades}
    assert told["SOLAR gsus"] == f"grade {reading.solar.gsus.grade}"
    assert (report.VerificationFlag, report.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")


def rows_of(items, value_type):
    """Name and value of a group's rows of a type."""
    told = {}
    for one in items:
        if one.ValueType == value_type:
            name = one.ConceptNameCodeSequence[0].CodeMeaning
            if value_type == "TEXT":
                told[name] = one.TextValue
            elif value_type == "CODE":
                told[name] = one.ConceptCodeSequence[0].CodeMeaning
            else:
                told[name] = float(one.MeasuredValueSequence[0].NumericValue)
    return told


def graded(reading, **changes):
    """The reading with other grades."""
    return replace(reading, solar=replace(reading.solar, **changes))


@needs_dciodvfy
@needs_dsrdump
def test_a_grade_that_asks_for_review_says_so_and_why(read, making, tmp_path):
    header, frames, readings = read[View.LONGITUDINAL, 3]
    gsus = replace(readings[1].solar.gsus, grade=3, review="review: grade 3 was learned, the capsule is concave")
    reading = graded(readings[1], gsus=gsus, pdus=Pdus(3, 1), combined=combine(gsus, Pdus(3, 1)))
    path = written(build_sr(header, looked([reading]), frames[0].laterality, making), tmp_path)
    assert complaints(path) == []
    assert (
        gsus.review in subprocess.run(["dsrdump", "+Pl", str(path)], capture_output=True, text=True, check=True).stdout
    )
    groups = groups_of(pydicom.dcmread(path))
    coded, texts = (rows_of(groups["solar, frame 2"], kind) for kind in ("CODE", "TEXT"))
    assert coded["SOLAR gsus"] == "grade 3" and coded["Review by a person"] == "asked for"
    assert coded["SOLAR combined"] == "not gradable" and texts["Review by a person: why"] == gsus.review
    assert (coded["SOLAR pdus literal"], coded["SOLAR pdus calibrated"]) == ("grade 3", "grade 1")
    whole = groups["frames analysed, frame 2"]
    assert rows_of(whole, "CODE")["SOLAR gsus over these frames"] == "not gradable"
    assert "needs no review" in rows_of(whole, "TEXT")["SOLAR gsus over these frames: why not"]


def test_flow_in_a_recess_of_grade_0_asks_for_review(read, making):
    header, frames, readings = read[View.LONGITUDINAL, 1]
    gsus = replace(readings[0].solar.gsus, grade=0)
    reading = graded(readings[0], gsus=gsus, pdus=Pdus(1, 1), combined=combine(gsus, Pdus(1, 1)))
    items = groups_of(build_sr(header, looked([reading]), frames[0].laterality, making))["solar, frame 1"]
    assert rows_of(items, "CODE")["Review by a person"] == "asked for"
    assert "flow in a recess" in rows_of(items, "TEXT")["Review by a person: why"]


@needs_dciodvfy
def test_not_gradable_carries_its_reason_and_nothing_found_is_a_report_too(read, making, tmp_path):
    header, frames, readings = read[View.LONGITUDINAL, 3]
    dark = replace(
        readings[0],
        solar=not_gradable("the picture is empty"),
        structures=(),
        landmarks=(),
        targets=(),
        measurements=(),
    )
    path = written(build_sr(header, looked([dark]), frames[0].laterality, making), tmp_path)
    assert complaints(path) == []
    groups = groups_of(pydicom.dcmread(path))
    assert rows_of(groups["solar, frame 1"], "CODE")["SOLAR gsus"] == "not gradable"
    assert rows_of(groups["solar, frame 1"], "TEXT")["SOLAR gsus: why not"] == "the picture is empty"
    header, frames, readings = read[View.ILIOPECTINEAL, 3]
    bare = replace(readings[0], structures=(), landmarks=(), targets=(), measurements=())
    path = written(build_sr(header, looked([bare]), frames[0].laterality, making), tmp_path)
    assert complaints(path) == []
    assert list(groups_of(pydicom.dcmread(path))) == ["frames analysed, frame 1"]


def test_a_report_lists_the_frames_that_were_looked_at(read, making):
    header, frames, readings = read[View.LONGITUDINAL, 3]
    told = replace(looked(readings), shown=tuple(readings[1:2]))
    items = groups_of(build_sr(header, told, frames[0].laterality, making))["frames analysed"]
    image = next(one for one in items if one.ValueType == "IMAGE").ReferencedSOPSequence[0]
    assert list(image.ReferencedFrameNumber) == [1, 2, 3]
    assert rows_of(items, "NUM") == {"Frames analysed": 3, "Frames graded": 3, "Frames anterior longitudinal": 3}
    assert rows_of(items, "CODE")["SOLAR gsus over these frames"] == f"grade {told.cine.grade}"


def test_a_distance_of_nought_and_its_percentile_are_told(read, making):
    header, frames, readings = read[View.LONGITUDINAL, 1]
    nought = tuple(replace(one, value=0.0) if one.unit == "mm" else one for one in readings[0].measurements)
    report = build_sr(header, looked([replace(readings[0], measurements=nought)], 9.0), frames[0].laterality, making)
    numbers = rows_of(groups_of(report)["measurement capsule_distance, frame 1"], "NUM")
    assert numbers["Distance"] == 0 and 0 <= numbers["Percentile of healthy hips"] < 1


def test_a_target_is_reported_with_its_clearances(read, making):
    header, frames, readings = read[View.ILIOPECTINEAL, 3]
    (target,) = readings[0].targets
    items = groups_of(build_sr(header, looked(readings[:1]), frames[0].laterality, making))[
        f"target {target.name}, frame 1"
    ]
    numbers = [float(one.MeasuredValueSequence[0].NumericValue) for one in items if one.ValueType == "NUM"]
    assert numbers == pytest.approx([one.distance_mm for one in target.clearances], abs=0.005)


@needs_dsrdump
def test_a_report_is_dumped_without_a_complaint(case, making, tmp_path):
    header, frames, readings = case
    path = written(build_sr(header, looked(readings), frames[0].laterality, making), tmp_path)
    done = subprocess.run(["dsrdump", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Imaging Measurement Report" in done.stdout


def test_a_point_outside_the_frame_is_refused(read, making):
    header, frames, readings = read[View.LONGITUDINAL, 1]
    reading = readings[0]
    moved = replace(reading, landmarks=(replace(reading.landmarks[0], x=-5.0),))
    with pytest.raises(ValueError, match="outside the frame"):
        build_sr(header, looked([moved]), frames[0].laterality, making)


def test_a_capture_holds_the_annotated_pictures(read, making, tmp_path):
    header, frames, readings = read[View.INFEROMEDIAL, 3]
    pictures = [draw_overlay(frame, reading) for frame, reading in zip(frames, readings, strict=True)]
    back = pydicom.dcmread(written(build_capture(header, pictures, range(3), making), tmp_path))
    assert np.array_equal(back.pixel_array, pictures)
    with pytest.raises(ValueError, match="one picture or more"):
        build_capture(header, [], [], making)


def test_a_result_made_again_is_the_same_object(read, making, monkeypatch):
    case = read[View.LONGITUDINAL, 3]
    header, frames, readings = case
    once, again = seg_of(case, making), seg_of(case, making)
    assert once.SOPInstanceUID == again.SOPInstanceUID and once.PixelData == again.PixelData
    other = replace(making, model=replace(making.model, sha256="0" * 64))
    assert seg_of(case, other).SOPInstanceUID != once.SOPInstanceUID
    assert seg_of(case, replace(making, digest="1")).SOPInstanceUID != once.SOPInstanceUID
    monkeypatch.setattr("serving.dicom_out.origin.VERSION", "999")
    assert seg_of(case, making).SOPInstanceUID != once.SOPInstanceUID
    report = build_sr(header, looked(readings), frames[0].laterality, making)
    assert report.SOPInstanceUID not in (once.SOPInstanceUID, header.SOPInstanceUID)


def test_terms_fit_and_differ():
    terms = [structure_term(structure(one.name)) for one in STRUCTURES]
    assert len({(term.value, term.scheme) for term in terms}) == len(STRUCTURES)
    assert all(len(term.value) <= 16 for term in terms)
