"""A trial on paper: designs as CSV, grids of numbers, and hips as `hipsono grade` writes them."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.anatomy import Laterality
from serving.archive.tables import READINGS, HipRow, hips_table
from serving.cohort.outcomes import DISTANCE, SOLAR, Grid


@pytest.fixture
def design_file(tmp_path):
    """Writes lines as a design file, gives its path."""

    def write(*lines):
        path = tmp_path / "design.csv"
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def grade_grid(groups, weeks=(0, 2, 16)):
    """A grid of grades from {group: rows of a patient's grades}, None where missing."""
    return _grid(SOLAR, groups, weeks)


def distance_grid(groups, weeks=(0, 2, 16)):
    return _grid(DISTANCE, groups, weeks)


def _grid(outcome, groups, weeks):
    rows = [[np.nan if value is None else value for value in row] for told in groups.values() for row in told]
    group_of = np.repeat(np.arange(len(groups)), [len(told) for told in groups.values()])
    values = np.array(rows, float)
    return Grid(outcome, tuple(groups), tuple(map(float, weeks)), group_of, values, np.ones(values.shape, bool))


def hip_row(patient, date, hip=Laterality.LEFT, gsus=1, **changes):
    """A hip as an archive has it."""
    told = {
        "study": f"{patient}/{date}", "patient_id": patient, "study_date": date, "hip": hip, "age_years": 9.0,
        "frames": 4, "view_frames": 4, "graded_frames": 4 if gsus is not None else 0, "gsus": gsus,
        "probabilities": (), "evidence": "", "pdus_literal": None, "pdus_calibrated": None, "combined": gsus,
        "review": None, "reason": None if gsus is not None else "the ends of the recess were not found",
        "capsule_distance_mm": None if gsus is None else 6.0 + gsus, "capsule_spread_mm": None,
        "capsule_percentile": None, "deciding_source": None, "deciding_frame": None,
    }  # fmt: skip
    return HipRow(**(told | changes))


def frame_row(hip, gsus=None, review=None, probabilities=()):
    """A frame's row of a hip's row."""
    return {
        "study": hip.study, "laterality": str(hip.hip), "gsus": gsus, "gsus_review": review,
        "gsus_probabilities": list(probabilities),
    }  # fmt: skip


def write_archive(folder, rows, trained_on="hipsono phantoms", frames=(), deidentified=None):
    """A folder as `hipsono grade` leaves it."""
    folder.mkdir(exist_ok=True)
    pq.write_table(hips_table(rows), folder / "hips.parquet")
    if frames:
        pq.write_table(pa.Table.from_pylist(list(frames), READINGS), folder / "readings.parquet")
    model = {"name": "starter", "version": "4", "sha256": "a" * 64}
    settings = {"model": model, "trained_on": trained_on, "deidentified": deidentified}
    told = {"finished": True, "settings": settings}
    (folder / "run.json").write_text(json.dumps(told))
    return folder
