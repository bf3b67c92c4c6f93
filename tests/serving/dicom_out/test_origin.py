"""Results of files whose headers are not what the standard asks for: odd values cost no result, and enter none."""

import pydicom
import pytest

from datasets.dicom import read_dicom
from datasets.dicom_write import write_dicom
from datasets.phantom.cine import cine
from model.anatomy import View
from serving.archive.results import FileResults, Result
from serving.dicom_out.origin import conform, frame_count, is_cine
from tests.serving.dicom_out.conftest import SEEDS, complaints, needs_dciodvfy, written

ODD = {
    "a birth in no month": {"PatientBirthDate": "19850000"},
    "a sex of its own": {"PatientSex": "W"},
    "dates and times of the older form": {"StudyDate": "1994.01.30", "StudyTime": "12:30:15"},
    "both sides": {"Laterality": "B", "ImageLaterality": "B"},
    "no age": {"PatientAge": "old"},
    "one frame, counted": {"NumberOfFrames": 1},
    "frames not counted": {"NumberOfFrames": None},
}


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    path = tmp_path_factory.mktemp("single") / "hip.dcm"
    write_dicom(list(cine(SEEDS[View.LONGITUDINAL], View.LONGITUDINAL, 1)), path)
    return path


def changed(path, folder, values):
    header = pydicom.dcmread(path)
    for name, value in values.items():
        setattr(header, name, value)
    header.save_as(folder / "odd.dcm")
    return folder / "odd.dcm"


def made_of(path, reader):
    collected = FileResults(frozenset(Result))
    for frame in read_dicom(path).frames():
        collected.see(frame, reader.read(frame))
    return collected.build(path, reader.model)


@needs_dciodvfy
@pytest.mark.parametrize("odd", ODD)
def test_an_odd_header_costs_no_result_and_makes_none_invalid(single, reader, tmp_path, odd):
    made = made_of(changed(single, tmp_path, ODD[odd]), reader)
    assert made.problems == ()
    assert [kind for kind, _ in made.objects] == list(Result)
    assert [complaints(written(result, tmp_path), ("Error",)) for _, result in made.objects] == [[], [], []]


@pytest.mark.parametrize("name", ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])
def test_no_result_refers_to_nothing(read, name):
    header = read[View.LONGITUDINAL, 1][0]
    for lacking in ("", "no uid"):
        with pytest.raises(ValueError, match=f"its {name} is missing"):
            conform(with_value(header, name, lacking))


def with_value(header, name, value):
    other = pydicom.Dataset()
    other.update(header)
    if name in other:
        del other[name]
    setattr(other, name, value)
    return other


def test_one_kind_that_cannot_be_made_costs_no_other(single, reader, monkeypatch):
    monkeypatch.setattr("serving.archive.results.build_sr", lambda *_: 1 / 0)
    made = made_of(single, reader)
    assert [kind for kind, _ in made.objects] == [Result.SEGMENTATION, Result.OVERLAY]
    assert made.problems == ("no report: division by zero",)


def test_what_is_valid_is_taken_over_as_it_is(read):
    header = with_value(read[View.LONGITUDINAL, 1][0], "PatientAge", "009Y")
    for name, value in (("StudyTime", "123015.5"), ("PatientSex", "F"), ("PatientBirthDate", "20150204")):
        header = with_value(header, name, value)
    whole = conform(header)
    assert [str(whole[name].value) for name in ("StudyTime", "PatientSex", "PatientBirthDate", "PatientAge")] == [
        "123015.5", "F", "20150204", "009Y",
    ]  # fmt: skip


def test_the_header_itself_stays_as_it_was(read):
    header = with_value(read[View.LONGITUDINAL, 1][0], "PatientSex", "W")
    assert conform(header).PatientSex == ""
    assert header.PatientSex == "W"


def test_a_cine_is_known_by_its_class_or_its_frames(read):
    still, moving = (read[View.LONGITUDINAL, count][0] for count in (1, 3))
    assert not is_cine(still)
    assert not is_cine(with_value(still, "NumberOfFrames", 1))
    assert is_cine(with_value(still, "NumberOfFrames", 3))
    assert is_cine(moving)
    assert is_cine(with_value(moving, "NumberOfFrames", 1))
    assert frame_count(with_value(moving, "NumberOfFrames", None)) == 1
