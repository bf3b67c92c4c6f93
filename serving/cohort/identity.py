"""A design under the names and dates of a de-identified run, so that its visits find their studies there."""

from dataclasses import replace
from pathlib import Path

from serving.cohort.design import Design, Patient, Visit
from serving.cohort.readings import Origin
from serving.deidentify.pseudonyms import Pseudonyms, keep_key
from serving.deidentify.release import KEY


def renamed(design: Design, private: Path, origin: Origin) -> Design:
    """Patients, dates and studies by the key in the private folder of a de-identified run; weeks and all that was
    noted stay. Visits are in the order of the new names: that of the old ones would tell something of them.

    Raises ValueError where there is no key, or another than the readings were made with.
    """
    if not (private / KEY).is_file():
        raise ValueError(f"{private} holds no key: give the private folder of a de-identified run, OUT/private")
    pseudonyms = keep_key(private / KEY)
    if origin.deidentified != pseudonyms.digest:
        told = "another key" if origin.deidentified else "none: they bear the names of the files"
        raise ValueError(f"the key in {private} is not the readings', which were de-identified with {told}")
    patients = {patient: _patient(patient, pseudonyms) for patient in design.patients}
    visits = [_visit(visit, patients[visit.patient], pseudonyms) for visit in design.visits]
    return replace(design, visits=tuple(sorted(visits, key=lambda visit: (visit.patient.patient_id, visit.week))))


def _patient(patient: Patient, pseudonyms: Pseudonyms) -> Patient:
    return replace(patient, patient_id=pseudonyms.patient(patient.patient_id, ""))


def _visit(visit: Visit, patient: Patient, pseudonyms: Pseudonyms) -> Visit:
    day = None if visit.day is None else pseudonyms.shifted(visit.day, patient.patient_id)
    study = None if visit.study is None else pseudonyms.uid(visit.study)
    return replace(visit, patient=patient, day=day, study=study)
