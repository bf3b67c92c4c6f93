"""A small archive, graded."""

import shutil

import pyarrow.parquet as pq
import pydicom
import pytest

from datasets.dicom_write import write_dicom
from datasets.phantom.cine import cine
from model.anatomy import View
from model.reading import Reader
from model.runtime import Session
from serving.archive.run import Job, grade
from tests import known_hips

TABLES = ("readings", "hips", "failures")


def silent(_):
    pass


def dicom(path, seed, view, frames=1, **changes):
    """A phantom cine as a file, with attributes changed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_dicom(list(cine(seed, view, frames)), path)
    if changes:
        header = pydicom.dcmread(path)
        for name, value in changes.items():
            setattr(header, name, value)
        header.save_as(path)


def rows(out, table):
    return pq.read_table(out / f"{table}.parquet").to_pylist()


def contents(out):
    return {table: (out / f"{table}.parquet").read_bytes() for table in TABLES}


@pytest.fixture(scope="session")
def reader():
    return Reader(Session(threads=1))


@pytest.fixture(scope="session")
def graded_once(tmp_path_factory):
    """A study of two files and one of one, a frame each, and their run."""
    top = tmp_path_factory.mktemp("small")
    for k, side in enumerate("LR"):
        name = top / "archive" / "one" / f"{side}.dcm"
        dicom(name, known_hips.LONGITUDINAL + 9 * k, View.LONGITUDINAL, ImageLaterality=side, StudyInstanceUID="1.2.3")
    dicom(top / "archive" / "two.dcm", known_hips.ILIOPECTINEAL, View.ILIOPECTINEAL)
    grade(Job(top / "archive", top / "out", workers=1), silent)
    return top


@pytest.fixture
def run(graded_once, tmp_path):
    """(archive, OUT) of that run, for a test to change."""
    shutil.copytree(graded_once, tmp_path, copy_function=shutil.copy2, dirs_exist_ok=True)
    note = tmp_path / "out" / "run.json"
    note.write_text(note.read_text().replace(str(graded_once), str(tmp_path)))
    return tmp_path / "archive", tmp_path / "out"
