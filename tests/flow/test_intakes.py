"""Frames as workstations give them out, each from a real peer: a video, RTSP, OpenIGTLink, C-STORE."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.uid import RLELossless

from datasets.dicom_write import write_dicom
from datasets.phantom.cine import cine
from model.anatomy import View
from tests import known_hips
from tests.dcmtk import STORESCU
from tests.flow.conftest import ROOT, free_port
from tests.flow.test_command import hipsono
from tests.waiting import PATIENCE_S, until

PEERS = Path(__file__).parent / "peers"
SEED = known_hips.LONGITUDINAL
IGTL_HEADERS = Path("/usr/include/openigtlink")
SYSTEM_PYTHON = "/usr/bin/python3"


@pytest.fixture(scope="module")
def samples():
    return list(cine(SEED, View.LONGITUDINAL, 6))


def running(*words, **options):
    command = [sys.executable, str(ROOT / "hipsono.py"), *map(str, words)]
    return subprocess.Popen(command, cwd="/", text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def ended(process):
    process.terminate()
    return process.communicate(timeout=PATIENCE_S)


def film(path, samples, rate=10):
    shape = samples[0].frame.grey.shape[::-1]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), rate, shape)
    for sample in samples:
        writer.write(cv2.cvtColor(sample.frame.grey, cv2.COLOR_GRAY2BGR))
    writer.release()


def test_a_video_is_watched_to_its_end(samples, tmp_path):
    film(tmp_path / "hip.mp4", samples)
    words = ("--source", tmp_path / "hip.mp4", "--lines", "--port", free_port(), "--spacing-mm", "0.17,0.17")
    done = hipsono("watch", *words)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert answers[-1]["view"]["name"] == "anterior_longitudinal"
    assert answers[-1]["frame"]["spacing_mm"] == [0.17, 0.17]
    assert answers[-1]["cine"]["frames"] >= 1
    assert sum(a["dropped"] for a in answers) + len(answers) == answers[-1]["seq"] + 1


@pytest.mark.parametrize("source", ["/nowhere.mp4", "63", "rtsp://127.0.0.1:9/none"])
def test_a_source_that_is_not_there_says_what_to_do(source):
    refused = hipsono("watch", "--source", source)
    assert refused.returncode == 2
    assert "no video source" in refused.stderr
    assert "Traceback" not in refused.stderr


def gstreamer():
    code = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    return (
        Path(SYSTEM_PYTHON).exists() and not subprocess.run([SYSTEM_PYTHON, "-c", code], capture_output=True).returncode
    )


def test_a_network_stream_is_watched_as_it_comes(samples, tmp_path):
    if not gstreamer():
        pytest.skip("no GStreamer RTSP server: install python3-gi and gir1.2-gst-rtsp-server-1.0")
    for k, sample in enumerate(samples):
        picture = cv2.resize(cv2.cvtColor(sample.frame.grey, cv2.COLOR_GRAY2BGR), (640, 480))
        cv2.imwrite(str(tmp_path / f"{k:04d}.jpg"), picture)
    port = free_port()
    peer = subprocess.Popen(
        [SYSTEM_PYTHON, str(PEERS / "rtsp_peer.py"), str(port), str(tmp_path)], stdout=subprocess.PIPE
    )
    try:
        assert peer.stdout.readline() == b"up\n"
        words = ("--source", f"rtsp://127.0.0.1:{port}/live", "--lines", "--port", free_port())
        watcher = running("watch", *words)
        try:
            answers = [json.loads(watcher.stdout.readline()) for _ in range(5)]
        finally:
            ended(watcher)
    finally:
        peer.terminate()
        peer.wait(PATIENCE_S)
    assert [a["seq"] for a in answers] == sorted({a["seq"] for a in answers})
    assert answers[-1]["frame"]["width"] == 640
    assert answers[-1]["view"]["name"] == "anterior_longitudinal"


@pytest.fixture(scope="module")
def igtl_peer(tmp_path_factory):
    """A program of the reference library: what Slicer and PLUS are built on."""
    if not IGTL_HEADERS.is_dir() or not shutil.which("g++"):
        pytest.skip("no OpenIGTLink reference library: install libopenigtlink-dev and g++")
    program = tmp_path_factory.mktemp("igtl") / "peer"
    source = str(PEERS / "igtl_peer.cxx")
    subprocess.run(["g++", f"-I{IGTL_HEADERS}", "-o", str(program), source, "-lOpenIGTLink", "-lpthread"], check=True)
    return program


@pytest.mark.parametrize("way", ["call", "serve"])
def test_openigtlink_is_answered_with_overlay_points_and_reading(igtl_peer, samples, tmp_path, way):
    frame = samples[0].frame
    spacing = frame.regions[0].spacing_mm[1]
    frame.grey.tofile(tmp_path / "hip.raw")
    port = free_port()
    words = [str(port), str(tmp_path / "hip.raw"), str(frame.width), str(frame.height), f"{spacing:.6f}"]
    linked = running("igtl", *(["--listen", port] if way == "call" else ["--connect", f"127.0.0.1:{port}"]))
    try:
        told = subprocess.run([str(igtl_peer), way, *words], capture_output=True, text=True, timeout=3 * PATIENCE_S)
    finally:
        _, talk = ended(linked)
    assert told.returncode == 0, told.stderr + talk
    lines = told.stdout.splitlines()
    overlay = next(line.split() for line in lines if line.startswith("IMAGE hipsono_overlay"))
    assert overlay[2:5] == [str(frame.width), str(frame.height), "3"]
    assert float(overlay[5]) == pytest.approx(spacing, rel=1e-4)
    reading = json.loads(next(line for line in lines if line.startswith("STRING")).split(" ", 2)[2])
    assert reading["frame"]["spacing_source"] == "openigtlink"
    assert reading["frame"]["spacing_mm"] == pytest.approx([spacing, spacing], rel=1e-4)
    points = {words[1]: np.array(words[2:4], float) for words in map(str.split, lines) if words[0] == "POINT"}
    rim = next(p for p in reading["landmarks"] if p["name"] == "acetabular_rim")
    # The reference library's matrix places the image's centre: 10 mm along x.
    centre = np.array([(frame.width - 1) / 2, (frame.height - 1) / 2])
    expected = (np.array([rim["x"], rim["y"]]) - centre) * spacing + [10, 0]
    assert np.allclose(points["acetabular_rim"], expected, atol=spacing)


def listens(port, aet="HIPSONO"):
    """Whether a DICOM storage answers there."""
    return not subprocess.run(["echoscu", "-aec", aet, "127.0.0.1", str(port)], capture_output=True).returncode


@pytest.mark.skipif(not STORESCU, reason="no storescu: install dcmtk")
def test_a_cine_stored_by_dcmtk_is_read(samples, tmp_path):
    good, packed, bad = (tmp_path / name for name in ("cine.dcm", "packed.dcm", "bad.dcm"))
    write_dicom(samples[:3], good)
    write_dicom(samples[3:5], packed, transfer_syntax=RLELossless)
    broken = pydicom.dcmread(good)
    broken.SOPInstanceUID = broken.file_meta.MediaStorageSOPInstanceUID = f"{broken.SOPInstanceUID[:50]}.9"
    broken.NumberOfFrames = 4
    broken.save_as(bad)
    port = free_port()
    receiver = running("listen", "--port", port, "-o", tmp_path / "readings")
    try:
        peer = ["-aec", "HIPSONO", "127.0.0.1", str(port)]
        until(lambda: listens(port))
        assert not subprocess.run([STORESCU, *peer, str(good)], capture_output=True).returncode
        compressed = [STORESCU, "--propose-rle", *peer, str(packed)]
        assert not subprocess.run(compressed, capture_output=True).returncode
        refused = subprocess.run([STORESCU, "-v", *peer, str(bad)], capture_output=True, text=True)
        until(lambda: not list((tmp_path / "readings" / "inbox").iterdir()))
    finally:
        ended(receiver)
    assert "CannotUnderstand" in refused.stdout + refused.stderr
    files = sorted((tmp_path / "readings").rglob("*.*"), key=lambda path: len(path.read_bytes()))
    assert [path.suffix for path in files] == [".jsonl", ".jsonl"]
    *readings, last = [json.loads(line) for line in files[1].read_text().splitlines()]
    assert [r["frame"]["index"] for r in readings] == [0, 1, 2]
    assert readings[0]["frame"]["spacing_source"] == "dicom-region"
    assert last["summary"]["frames"] == 3
    assert last["summary"]["cine"]["grade"] == readings[0]["solar"]["gsus"]["grade"]


@pytest.mark.skipif(not STORESCU, reason="no storescu: install dcmtk")
def test_what_was_answered_is_read_after_a_kill(samples, tmp_path):
    write_dicom(samples * 20, tmp_path / "long.dcm")
    port, inbox = free_port(), tmp_path / "out" / "inbox"
    receiver = running("listen", "--port", port, "-o", tmp_path / "out")
    until(lambda: listens(port))
    stored = subprocess.run([STORESCU, "127.0.0.1", str(port), str(tmp_path / "long.dcm")], capture_output=True)
    receiver.kill()
    receiver.communicate()
    assert stored.returncode == 0
    assert len(list(inbox.iterdir())) == 1
    receiver = running("listen", "--port", port, "-o", tmp_path / "out")
    try:
        until(lambda: not list(inbox.iterdir()), 5 * PATIENCE_S)
    finally:
        ended(receiver)
    (readings,) = (tmp_path / "out").glob("*.jsonl")
    assert json.loads(readings.read_text().splitlines()[-1])["summary"]["frames"] == 120
