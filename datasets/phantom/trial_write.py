"""A simulated trial onto the disk: a calibrated DICOM cine a patient and visit, and the design file with the truth.

DIR/studies/phantom-001-week0.dcm ...     what `hipsono grade` reads
DIR/design.csv                          what `hipsono cohort` reads; solar and capsule_distance_mm are the truth
"""

import csv
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from rich.console import Console
from rich.progress import track

from datasets.dicom_write import write_dicom
from datasets.phantom.body import Body, draw_body
from datasets.phantom.cine import Motion, draw_motion, filmed, moved
from datasets.phantom.generate import Drawn, scanned, truth_of
from datasets.phantom.longitudinal import distended, draw_bones, draw_hip, hip_scene
from datasets.phantom.trial import FIRST_SEED, GROUPS, TrialVisit, draw_trial
from datasets.sample import Sample
from datasets.whole import unfinished
from datasets.workers import worker_pool

STUDIES: Final = "studies"
DESIGN: Final = "design.csv"
COLUMNS: Final = (
    "patient", "group", "visit", "date", "index_hip", "solar", "capsule_distance_mm", "vas", "tenderness", "hhs",
    "jadas", "age_years", "sex", "subtype", "disease_duration_years",
)  # fmt: skip
_AGES_YEARS: Final = (3.0, 17.0)
_FRAMES_APART: Final = 8
_TRIES: Final = 200
_SALT: Final = 20270106


@dataclass(frozen=True, slots=True)
class TrialOrder:
    """How large a trial: `patients` in three even groups, `frames` a cine."""

    patients: int = 120
    seed: int = FIRST_SEED
    frames: int = 4

    @classmethod
    def asked(cls, patients: int | None, seed: int | None, frames: int) -> "TrialOrder":
        """An order in which None, or 0 frames, is left at its default."""
        usual = cls()
        return cls(patients or usual.patients, usual.seed if seed is None else seed, frames or usual.frames)


@dataclass(frozen=True, slots=True)
class Truths:
    """What the phantom of a visit shows by construction."""

    visit: TrialVisit
    age_years: float
    capsule_distance_mm: float


def write_trial(order: TrialOrder, folder: Path, workers: int | None = None) -> int:
    """Renders the trial in parallel into a folder; returns how many studies. The same order gives the same files.

    Raises ValueError for a trial that cannot be drawn.
    """
    visits = draw_trial(order.patients, order.seed)
    (folder / STUDIES).mkdir(parents=True, exist_ok=True)
    with worker_pool(workers) as pool:
        written = pool.map(partial(_write_visit, order.frames, folder / STUDIES), visits, chunksize=3)
        shown = track(written, "trial", len(visits), console=Console(stderr=True), disable=not sys.stderr.isatty())
        rows = sorted(shown, key=lambda row: list(GROUPS).index(row.visit.patient.group))
    _write_design(rows, folder / DESIGN)
    return len(visits)


def film_visit(visit: TrialVisit, frames: int) -> tuple[Sample, ...]:
    """The cine (frames numbered from 0) of a visit, named and sided as the patient's.

    The patient's own body and bones lie under the capsule, tissue, scanner and probe of the visit. Raises ValueError
    where no frame is found that holds the whole neck.
    """
    drawn, motion = _framed(visit, frames)
    told = []
    for number, sample in enumerate(filmed(drawn, motion, _indices(frames))):
        frame = replace(sample.frame, laterality=visit.patient.index_hip, index=number, source=visit.study_id)
        told.append(replace(sample, frame=frame, patient_id=visit.patient.patient_id, study_id=visit.study_id))
    return tuple(told)


def _framed(visit: TrialVisit, frames: int) -> tuple[Drawn, Motion]:
    """Drawn until neck and capsule are whole in every frame, as a person would hold the probe."""
    anatomy = np.random.default_rng([_SALT, visit.patient.seed])
    body = _child(anatomy)
    hip = draw_hip(body, anatomy)
    bones = draw_bones(hip, anatomy)
    for attempt in range(_TRIES):
        rng = np.random.default_rng([_SALT, visit.patient.seed, visit.week, attempt])
        scene = hip_scene(body, distended(hip, visit.gsus, body, rng), bones, rng)
        drawn, motion = scanned(int(rng.integers(2**31)), body, scene, rng), draw_motion(rng)
        if all(truth_of(moved(drawn, motion, index)).gsus is not None for index in _indices(frames)):
            return drawn, motion
    raise ValueError(f"{visit.study_id}: the whole neck came into none of {_TRIES} frames; take another seed")


def _indices(frames: int) -> range:
    return range(0, frames * _FRAMES_APART, _FRAMES_APART)


def _child(rng: np.random.Generator) -> Body:
    """A body of an age at which JIA is treated so."""
    low, high = _AGES_YEARS
    while True:
        body = draw_body(rng)
        if low <= body.age_years <= high:
            return body


def _write_visit(frames: int, folder: Path, visit: TrialVisit) -> Truths:
    samples = film_visit(visit, frames)
    write_dicom(samples, folder / f"{visit.study_id}.dcm", study_date=f"{visit.day:%Y%m%d}")
    truth, age_years = samples[0].truth, samples[0].frame.age_years
    assert truth.capsule_distance_mm is not None, "frames that hold the whole neck are drawn"
    assert age_years is not None, "a phantom has an age"
    return Truths(visit, age_years, truth.capsule_distance_mm)


def _write_design(rows: Iterable[Truths], path: Path) -> None:
    with unfinished(path) as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(_row(row) for row in rows)


def _row(row: Truths) -> tuple[object, ...]:
    visit, patient = row.visit, row.visit.patient
    return (
        patient.patient_id, patient.group, visit.week, visit.day.isoformat(), patient.index_hip, visit.gsus,
        round(row.capsule_distance_mm, 2), visit.vas, visit.tenderness, visit.hhs,
        patient.jadas if visit.week == 0 else "", row.age_years, patient.sex, patient.subtype,
        patient.disease_duration_years,
    )  # fmt: skip
