"""An archive with identifiers planted wherever scanners and people put them."""

import shutil

import cv2
import pydicom
import pytest
from fastapi.testclient import TestClient
from pydicom.dataset import Dataset

from datasets.dicom_write import write_dicom
from datasets.phantom.cine import cine
from model.anatomy import View
from serving.archive.command import asked_of, identities_for
from serving.archive.results import Result
from serving.archive.run import Job, grade
from serving.deidentify.clearing import Desk, create_clearing
from serving.deidentify.release import list_withheld
from tests import known_hips

NAME, OTHER_ID = "KOWALSKI", "MRN-OLD-17"
PLANTED = (b"KOWALSKI", b"Kowalski", b"kowalski", b"MRN-4471", b"MRN-OLD-17", b"ACC99812", b"St. Planted", b"Secret",
           b"ROOM7", b"20120307", b"20250911", b"1.2.840.99999")  # fmt: skip
OUTSIDE, INSIDE = "outside.dcm", "inside.dcm"


def plant(path, seed, view, inside):
    """A phantom cine with a name in its header, private tags and sequences, burnt in beside the sector, or within."""
    write_dicom(list(cine(seed, view, 3)), path)
    dataset = pydicom.dcmread(path)
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = "Kowalski^Anna", "MRN-4471", "20120307"
    dataset.StudyDate = dataset.ContentDate = "20250911"
    dataset.AccessionNumber, dataset.StationName = "ACC99812", "ROOM7"
    dataset.InstitutionName, dataset.OperatorsName = "St. Planted Hospital", "Secret^Nurse"
    dataset.StudyDescription, dataset.Manufacturer = "Anna Kowalski, left hip", "Scanner of Kowalski"
    dataset.StudyInstanceUID = f"1.2.840.99999.{seed}"
    dataset.private_block(0x0099, "ACME", create=True).add_new(1, "LO", "Kowalski, private")
    former = Dataset()
    former.PatientID = OTHER_ID
    dataset.OtherPatientIDsSequence = [former]
    for region in dataset.SequenceOfUltrasoundRegions:
        region.private_block(0x0099, "ACME", create=True).add_new(2, "LO", "Kowalski, in a region")
    frames = dataset.pixel_array.copy()
    for frame in frames:
        cv2.putText(frame, NAME, (2, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 255, 1)
        if inside:
            place = (frame.shape[1] // 2 - 50, frame.shape[0] // 2)
            cv2.putText(frame, f"A. {NAME}", place, cv2.FONT_HERSHEY_SIMPLEX, 0.6, 255, 1)
    dataset.PixelData = frames.tobytes()
    dataset.save_as(path)


@pytest.fixture(scope="package")
def planted(tmp_path_factory):
    """Two cines of one patient: the name burnt in beside the insonated area, and within it too; and a picture."""
    pytest.importorskip("rapidocr", reason="the text search: install the extra with  pip install -e '.[deidentify]'")
    folder = tmp_path_factory.mktemp("planted") / NAME
    folder.mkdir()
    plant(folder / OUTSIDE, known_hips.LONGITUDINAL, View.LONGITUDINAL, inside=False)
    plant(folder / INSIDE, known_hips.ILIOPECTINEAL, View.ILIOPECTINEAL, inside=True)
    cv2.imwrite(str(folder / f"{NAME}.png"), next(iter(cine(known_hips.INFEROMEDIAL, View.INFEROMEDIAL, 1))).frame.grey)
    return folder.parent


def job(archive, out, resume=False, identity=None):
    """De-identify, with everything that can be asked for beside it."""
    asked = asked_of((None, None), frozenset(Result), identities_for(out, identity))
    return Job(archive, out, workers=1, resume=resume, asked=asked)


def uid_of(out, file):
    """The new UID of a planted file."""
    return next(uid for uid, one in list_withheld(out).items() if one.note.crossing.file.endswith(file))


@pytest.fixture(scope="package")
def graded(planted, tmp_path_factory):
    """The run over it. Nobody has decided anything."""
    out = tmp_path_factory.mktemp("graded") / "out"
    grade(job(planted, out), lambda _: None)
    return out


@pytest.fixture
def out(graded, tmp_path):
    """The run, for a test to decide on."""
    return shutil.copytree(graded, tmp_path / "out")


@pytest.fixture
def desk(out):
    return desk_of(out)


def desk_of(out, **more):
    return TestClient(create_clearing(Desk(out, "A. Kim")), base_url="http://127.0.0.1", **more)


def row_of(desk, uid):
    """A file as the page shows it."""
    return next(row for row in desk.get("/files").json() if row["uid"] == uid)


def decide(desk, uid, verdict="cleared", **more):
    told = {"verdict": verdict, "seen": row_of(desk, uid)["seen"], **more}
    answer = desk.post(f"/files/{uid}", json=told)
    assert answer.status_code == 200, answer.text
    return answer.json()


def to_give_away(out):
    return [path for path in out.rglob("*") if path.is_file() and "private" not in path.relative_to(out).parts]
