"""Real files, phantom cines and twenty broken ones in one archive: every one is accounted for, with the right reason.

`make soak` runs it with 200 cines.
"""

import os
import shutil
import zipfile
from pathlib import Path
from zlib import crc32

import cv2
import pyarrow.parquet as pq
import pydicom
import pytest
from pydicom.uid import ComprehensiveSRStorage, CTImageStorage

from datasets.dicom_write import write_dicom
from datasets.phantom.cine import cine
from model.anatomy import HIP_VIEWS
from serving.archive.run import Job, grade

CINES = int(os.environ.get("HIPSONO_CINES", "4"))
FRAMES = 3
REAL = Path(os.environ.get("HIPSONO_DATA", "")) / "ultrasound-dicom"


def changed(whole, path, **values):
    dataset = pydicom.dcmread(whole)
    dataset.SOPInstanceUID = f"1.2.826.0.1.{crc32(path.name.encode())}"
    for name, value in values.items():
        if value is None:
            del dataset[name]
        else:
            setattr(dataset, name, value)
    dataset.save_as(path)


def break_twenty(whole, folder):
    """Twenty files that give no frame, or not all; by name the cause that must be told, and words of its reason."""
    data = whole.read_bytes()
    grey = pydicom.dcmread(whole).pixel_array[0]
    picture, jpeg = (cv2.imencode(kind, grey)[1].tobytes() for kind in (".png", ".jpg"))
    raw = {
        "cut third.dcm": (data[: len(data) // 3], "unreadable", "cut short"),
        "cut last.dcm": (data[:-2000], "unreadable", "cut short"),
        "cut header.dcm": (data[:700], "unreadable", ""),
        "preamble.dcm": (data[:132], "unreadable", ""),
        "noise after preamble.dcm": (data[:132] + bytes(range(256)) * 20, "unreadable", ""),
        "empty.dcm": (b"", "unreadable", "empty"),
        "cut.png": (picture[: len(picture) // 2], "unreadable", ""),
        "cut.jpg": (jpeg[: len(jpeg) // 3], "unreadable", ""),
        "words.txt": (b"no picture", "not a picture", "content"),
        "program.exe": (b"MZ" + bytes(4000), "not a picture", "content"),
        "pdf.dcm": (b"%PDF-1.7" + bytes(400), "not a picture", "content"),
        "again.dcm": (data, "duplicate", "the same instance"),
        "not a zip.zip": (b"PK\x03\x04" + bytes(90), "unreadable", ""),
    }
    for name, (content, _, _) in raw.items():
        (folder / name).write_bytes(content)
    changed(whole, folder / "ct.dcm", SOPClassUID=CTImageStorage, Modality="CT")
    changed(whole, folder / "report.dcm", SOPClassUID=ComprehensiveSRStorage, Modality="SR", Rows=None, Columns=None)
    changed(whole, folder / "no rows.dcm", Rows=0)
    changed(whole, folder / "no pixels.dcm", PixelData=None)
    changed(whole, folder / "no such colour.dcm", PhotometricInterpretation="CMYK")
    changed(whole, folder / "too many frames.dcm", NumberOfFrames=FRAMES + 40)
    with zipfile.ZipFile(folder / "packed.zip", "w") as packed:
        packed.writestr("inside.dcm", data[: len(data) // 2])
    more = {
        "ct.dcm": ("not ultrasound", "CT"),
        "report.dcm": ("unreadable", "a picture was expected"),
        "no rows.dcm": ("unreadable", ""),
        "no pixels.dcm": ("unreadable", "no pixels follow"),
        "no such colour.dcm": ("unreadable", "CMYK"),
        "too many frames.dcm": ("unreadable", "announced"),
        "packed.zip!inside.dcm": ("unreadable", "cut short"),
    }
    return {name: told[1:] for name, told in raw.items()} | more


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """The archive, what is broken in it and how, and how many files are whole."""
    folder = tmp_path_factory.mktemp("mixed")
    for k in range(CINES):
        write_dicom(list(cine(3_220_000 + k, HIP_VIEWS[k % 3], FRAMES)), folder / f"a{k % 7}" / f"{k:04d}.dcm")
    (folder / "broken").mkdir()
    broken = break_twenty(folder / "a0" / "0000.dcm", folder / "broken")
    if REAL.is_dir():
        shutil.copytree(REAL, folder / "real")
    return folder, broken


@pytest.fixture(scope="module")
def graded(mixed, tmp_path_factory):
    """The rows of its readings, and its failures by name."""
    out = tmp_path_factory.mktemp("graded")
    grade(Job(mixed[0], out, workers=2), lambda _: None)
    readings, failures = (pq.read_table(out / f"{name}.parquet").to_pylist() for name in ("readings", "failures"))
    return readings, {row["name"]: row for row in failures}


def test_every_cine_is_read_and_every_broken_file_told_with_the_right_reason(mixed, graded):
    _, broken = mixed
    readings, failures = graded
    assert len(broken) == 20
    for name, (why, words) in broken.items():
        told = failures[f"broken/{name}"]
        assert (told["why"], words in told["reason"]) == (why, True), told
    cines = [row["source"] for row in readings if row["source"].startswith("a")]
    assert len(set(cines)) == CINES
    assert len(cines) == CINES * FRAMES
    assert {name for name in failures if not name.startswith("real/")} == {f"broken/{name}" for name in broken}


@pytest.mark.usefixtures("shared_data")
def test_every_real_file_is_accounted_for(mixed, graded):
    folder, _ = mixed
    readings, failures = graded
    read = {row["source"] for row in readings}
    failures = {name: row for name, row in failures.items() if name.startswith("real/")}
    files = {path.relative_to(folder).as_posix() for path in (folder / "real").rglob("*") if path.is_file()}
    assert files, f"{REAL} holds no file"
    assert {name for name in read if name.startswith("real")} | set(failures) == files
    assert {row["why"] for row in failures.values()} <= {"duplicate"}, failures
