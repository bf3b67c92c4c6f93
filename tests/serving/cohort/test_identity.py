"""A design with the originals' names finds its visits in a de-identified run, and the report bears the new names."""

from datetime import date

import pydicom
import pytest

from datasets.dicom_write import write_dicom
from datasets.phantom.cine import cine
from model.anatomy import View
from serving.cohort.command import Job, report_cohort
from serving.cohort.design import read_design
from serving.cohort.identity import renamed
from serving.cohort.readings import Origin
from serving.deidentify.header import clean_header
from serving.deidentify.pseudonyms import keep_key
from tests import known_hips
from tests.serving.cohort.conftest import hip_row, write_archive

HEAD = "patient,group,visit,index_hip,date,study"


@pytest.fixture
def trial(tmp_path, design_file):
    """A folder with key and archive, and a design of one visit by date and one by study."""
    names = keep_key(tmp_path / "private" / "key")
    day = names.shifted(date(2026, 1, 5), names.patient("Kowalski", ""))
    rows = [
        hip_row(names.patient("Kowalski", "1.2.3"), f"{day:%Y%m%d}", gsus=2, study=names.uid("1.2.3")),
        hip_row(names.patient("Abel", "1.2.4"), "20240101", gsus=1, study=names.uid("1.2.4")),
    ]
    write_archive(tmp_path / "graded", rows, deidentified=names.digest)
    design_file(HEAD, "Kowalski,g,0,left,2026-01-05,", "Abel,g,0,left,,1.2.4")
    return tmp_path


def job(trial, identity="private"):
    private = None if identity is None else trial / identity
    return Job(trial / "graded", trial / "design.csv", trial / "report", identity=private)


def test_visits_are_found_by_date_and_study_under_the_new_names(trial):
    said = []
    assert report_cohort(job(trial), said.append) == 0
    assert "2 patients, 2 visits, 2 with a grade" in "\n".join(said)
    written = "".join(path.read_text() for path in (trial / "report").rglob("*.*"))
    assert "P-" in written and not any(name in written for name in ("Kowalski", "Abel", "2026-01-05", "1.2.4"))


def test_the_new_names_are_those_of_a_cleaned_header(tmp_path, design_file):
    write_dicom(list(cine(known_hips.LONGITUDINAL, View.LONGITUDINAL, 1)), tmp_path / "hip.dcm")
    header = pydicom.dcmread(tmp_path / "hip.dcm", stop_before_pixels=True)
    header.PatientID, header.StudyDate = " Kowalski ", "20260105"
    names = keep_key(tmp_path / "private" / "key")
    cleaned = clean_header(header, names)
    path = design_file(HEAD, f"Kowalski,g,0,left,2026-01-05,{header.StudyInstanceUID}")
    (visit,) = renamed(read_design(path), tmp_path / "private", Origin(deidentified=names.digest)).visits
    assert visit.patient.patient_id == cleaned.PatientID
    assert (f"{visit.day:%Y%m%d}", visit.study) == (cleaned.StudyDate, cleaned.StudyInstanceUID)


def test_without_the_key_it_says_what_to_add(trial):
    with pytest.raises(ValueError, match="add --identity OUT/private"):
        report_cohort(job(trial, None), lambda _: None)


def test_another_key_or_none_is_refused_and_none_is_made(trial):
    (trial / "other").mkdir()
    with pytest.raises(ValueError, match="holds no key"):
        report_cohort(job(trial, "other"), lambda _: None)
    assert not list((trial / "other").iterdir())
    keep_key(trial / "other" / "key")
    with pytest.raises(ValueError, match="with another key"):
        report_cohort(job(trial, "other"), lambda _: None)
    write_archive(trial / "graded", [hip_row("Abel", "20260105")])
    with pytest.raises(ValueError, match="names of the files"):
        report_cohort(job(trial), lambda _: None)


def test_phantoms_stay_phantoms_under_any_name(tmp_path, design_file):
    names = keep_key(tmp_path / "private" / "key")
    row = hip_row(names.patient("phantom-1", ""), "20240101", study=names.uid("1.2.3"))
    write_archive(tmp_path / "graded", [row], deidentified=names.digest)
    design_file(HEAD, "phantom-1,g,0,left,,1.2.3")
    report_cohort(job(tmp_path), lambda _: None)
    assert "The patients are phantoms" in (tmp_path / "report" / "index.html").read_text()
