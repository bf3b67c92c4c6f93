"""Results stored in a real Orthanc, by C-STORE and by STOW-RS, are found there and come back the same."""

import json
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from requests import Session as Http

from datasets.dicom_write import write_dicom
from datasets.phantom.cine import cine
from model.anatomy import View
from tests import known_hips
from tests.dcmtk import STORESCU
from tests.flow.conftest import ROOT, free_port
from tests.flow.test_command import hipsono
from tests.flow.test_intakes import listens
from tests.waiting import PATIENCE_S, until

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
pytestmark = pytest.mark.skipif(
    not (shutil.which("Orthanc") and PLUGIN.exists() and STORESCU),
    reason="no Orthanc with DICOMweb, or no storescu: install orthanc, orthanc-dicomweb and dcmtk",
)
AET = "LABPACS"


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory):
    """A running server: its DICOM port and the address of its DICOMweb."""
    folder, dicom, web = tmp_path_factory.mktemp("orthanc"), free_port(), free_port()
    settings = {
        "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db"), "Plugins": [str(PLUGIN)],
        "HttpPort": web, "RemoteAccessAllowed": False, "AuthenticationEnabled": False, "DicomAet": AET,
        "DicomPort": dicom, "DicomCheckCalledAet": True, "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }  # fmt: skip
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(["Orthanc", str(folder / "orthanc.json")], stdout=log, stderr=log)
    address = f"http://127.0.0.1:{web}/dicom-web"

    def answers():
        assert process.poll() is None, (folder / "log").read_text()
        with suppress(OSError), Http() as http:
            return http.get(f"{address}/studies", timeout=PATIENCE_S).ok and listens(dicom, AET)

    try:
        until(answers)
        yield dicom, address
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What `hipsono grade` gives of two cines and a picture, by kind, in two sets: one to be sent by each way."""
    made = []
    for offset, way in enumerate(("dimse", "web")):
        folder = tmp_path_factory.mktemp(way)
        write_dicom(list(cine(known_hips.LONGITUDINAL + 9 * offset, View.LONGITUDINAL, 3)), folder / "in" / "long.dcm")
        write_dicom(list(cine(known_hips.ILIOPECTINEAL + offset, View.ILIOPECTINEAL, 1)), folder / "in" / "ipe.dcm")
        done = hipsono("grade", folder / "in", "-o", folder / "out", "--sr", "--seg", "--overlays")
        assert done.returncode == 0, done.stderr
        made.append({kind: sorted((folder / "out" / kind).glob("*.dcm")) for kind in ("sr", "seg", "overlays")})
    assert all(len(paths) == 2 for kinds in made for paths in kinds.values())
    return made


def found(client, path):
    """The instance as QIDO finds it and WADO gives it back."""
    sent = pydicom.dcmread(path)
    (told,) = client.search_for_instances(search_filters={"SOPInstanceUID": str(sent.SOPInstanceUID)})
    assert told["00080016"]["Value"] == [str(sent.SOPClassUID)]
    back = client.retrieve_instance(sent.StudyInstanceUID, sent.SeriesInstanceUID, sent.SOPInstanceUID)
    return sent, back


def modalities_of(client, study):
    return {one["00080060"]["Value"][0] for one in client.search_for_series(study)}


def assert_same(sent, back):
    for element in sent:
        if element.keyword != "PixelData":
            assert back[element.tag].value == element.value, element.keyword
    if "PixelData" in sent:
        assert np.array_equal(back.pixel_array, sent.pixel_array)


@pytest.mark.parametrize("kind", ["sr", "seg", "overlays"])
def test_stored_by_c_store(orthanc, results, kind):
    port, address = orthanc
    paths = results[0][kind]
    sent = subprocess.run(
        [STORESCU, "-R", "-aec", AET, "127.0.0.1", str(port), *map(str, paths)], capture_output=True, text=True
    )
    assert sent.returncode == 0, sent.stderr
    client = DICOMwebClient(address)
    for path in paths:
        assert_same(*found(client, path))


@pytest.mark.parametrize("kind", ["sr", "seg", "overlays"])
def test_stored_by_stow(orthanc, results, kind):
    client = DICOMwebClient(orthanc[1])
    paths = results[1][kind]
    client.store_instances([pydicom.dcmread(path) for path in paths])
    for path in paths:
        assert_same(*found(client, path))


def test_results_lie_in_the_study_they_are_about(orthanc, results):
    client = DICOMwebClient(orthanc[1])
    client.store_instances([pydicom.dcmread(path) for paths in results[1].values() for path in paths])
    study = pydicom.dcmread(results[1]["sr"][0]).StudyInstanceUID
    assert modalities_of(client, study) == {"SR", "SEG", "US"}


def test_a_server_is_an_archive(orthanc, results, tmp_path):
    """What lies in the server is read as it is from a folder; a search narrows it."""
    _, address = orthanc
    folder = results[0]["sr"][0].parents[2] / "in"
    client = DICOMwebClient(address)
    made = [path for paths in results[0].values() for path in paths]
    client.store_instances([pydicom.dcmread(path) for path in (*sorted(folder.iterdir()), *made)])
    patient = pydicom.dcmread(folder / "long.dcm").PatientID
    remote = address.replace("http://", "dicomweb://")
    rows = {}
    for name, archive in (("far", f"{remote}?PatientID={patient}"), ("near", folder / "long.dcm")):
        done = hipsono("grade", archive, "-o", tmp_path / name)
        assert done.returncode == 0, done.stderr
        told = pq.read_table(tmp_path / name / "readings.parquet").to_pylist()
        rows[name] = [{key: row[key] for key in row if key not in ("source", "reading_id")} for row in told]
    assert rows["far"] == rows["near"] != []
    failures = pq.read_table(tmp_path / "far" / "failures.parquet").to_pylist()
    assert {row["reason"] for row in failures} == {
        "its modality is SR", "its modality is SEG", "an annotated picture that hipsono made",
    }  # fmt: skip


def test_a_server_that_does_not_answer_is_named(tmp_path):
    done = hipsono("grade", f"dicomweb://127.0.0.1:{free_port()}/dicom-web", "-o", tmp_path / "out")
    assert done.returncode == 2
    assert "127.0.0.1" in done.stderr and "Traceback" not in done.stderr


def test_what_is_stored_to_us_comes_back_as_results(orthanc, tmp_path):
    """A scanner stores a cine; its report and segmentation are in the archive soon, and what an earlier run left in the
    outbox.
    """
    dicom, address = orthanc
    path = tmp_path / "hip.dcm"
    write_dicom(list(cine(3_000_130, View.ILIOPECTINEAL, 2)), path)
    port = free_port()
    command = [
        "listen",
        "--port",
        port,
        "-o",
        tmp_path / "out",
        "--sr",
        "--seg",
        "--send-to",
        f"{AET}@127.0.0.1:{dicom}",
    ]
    left = tmp_path / "out" / "outbox" / "left.dcm"
    left.parent.mkdir(parents=True)
    shutil.copy(path, left)
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "hipsono.py"), *map(str, command)], stderr=subprocess.DEVNULL
    )
    try:
        until(lambda: listens(port))
        assert not subprocess.run([STORESCU, "127.0.0.1", str(port), str(path)], capture_output=True).returncode
        client, study = DICOMwebClient(address), pydicom.dcmread(path).StudyInstanceUID
        until(lambda: modalities_of(client, study) == {"US", "SR", "SEG"} and not list(left.parent.iterdir()))
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def test_a_peer_that_is_none_is_refused(tmp_path):
    for peer, told in (("PACS", "AET@HOST:PORT"), ("PACS@host:x", "AET@HOST:PORT")):
        done = hipsono("listen", "-o", tmp_path, "--sr", "--send-to", peer)
        assert done.returncode == 2 and told in done.stderr
    assert hipsono("listen", "-o", tmp_path, "--send-to", "PACS@h:1").returncode == 2
