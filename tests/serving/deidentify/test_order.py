"""Rows of a de-identified run stand in an order that tells nothing of when its patients were scanned."""

import re
import shutil

import pyarrow.parquet as pq
import pydicom
import pytest

from datasets.dicom_write import write_dicom
from datasets.phantom.cine import cine
from model.anatomy import View
from serving.archive.run import grade
from tests import known_hips
from tests.serving.deidentify.conftest import job

pytest.importorskip("rapidocr", reason="the text search: install the extra with  pip install -e '.[deidentify]'")
STUDIES = 4


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """Studies one after another, the first of them in portions."""
    monkeypatch.setattr("serving.archive.plan.MAX_FRAMES", 1)
    folder = tmp_path / "archive"
    folder.mkdir()
    for number in (0, *range(STUDIES)):
        path = folder / f"{len(list(folder.iterdir()))}.dcm"
        write_dicom(list(cine(known_hips.ILIOPECTINEAL + 3 * number, View.ILIOPECTINEAL, 1)), path)
        dataset = pydicom.dcmread(path)
        dataset.StudyInstanceUID, dataset.SOPInstanceUID = f"1.2.3.{number}", f"1.2.4.{path.stem}"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.PatientID, dataset.ImageLaterality = f"MRN-{number}", "L"
        dataset.save_as(path)
    return folder


def in_tables(out):
    return [
        [row["study"] for row in pq.read_table(out / f"{name}.parquet").to_pylist()] for name in ("readings", "hips")
    ]


def test_rows_stand_in_the_order_of_the_new_names(archive, tmp_path):
    out = tmp_path / "out"
    (out / "private").mkdir(parents=True)
    (out / "private" / "key").write_text("ab" * 32)
    asked = job(archive, out)
    pseudonyms = asked.asked.identities.pseudonyms
    in_time = [pseudonyms.uid(f"1.2.3.{number}") for number in range(STUDIES)]
    assert sorted(in_time) != in_time
    grade(asked, lambda _: None)
    readings, hips = in_tables(out)
    assert list(dict.fromkeys(readings)) == hips == sorted(in_time) and len(readings) == STUDIES + 1
    patients = re.findall(r"P-\w{13}", (out / "index.html").read_text())
    named = [pseudonyms.patient(f"MRN-{number}", "") for number in range(STUDIES)]
    assert list(dict.fromkeys(patients)) == [named[in_time.index(study)] for study in sorted(in_time)]
    before = {path.name: path.read_bytes() for path in out.glob("*.parquet")}
    for part in sorted((out / "private" / "parts").iterdir())[:2]:
        shutil.rmtree(part)
    assert grade(job(archive, out, resume=True), lambda _: None).read_now == 2
    assert {path.name: path.read_bytes() for path in out.glob("*.parquet")} == before
