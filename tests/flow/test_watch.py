"""`hipsono watch` as its viewers see it, by a real client: a file's end, a network stream lost and back, a device."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import cv2
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from datasets.phantom.cine import cine
from model.anatomy import View
from tests import known_hips
from tests.flow.conftest import ROOT, connected, free_port, serving
from tests.flow.test_intakes import PEERS, SYSTEM_PYTHON, film, gstreamer
from tests.waiting import PATIENCE_S

DEVICE = os.environ.get("HIPSONO_V4L2", "/dev/video0")


@pytest.fixture(scope="module")
def sample():
    return next(iter(cine(known_hips.LONGITUDINAL, View.LONGITUDINAL, 1)))


@contextmanager
def watched(*words):
    """The address of a viewer's socket on a process that watches."""
    with serving("watch", *map(str, words)) as (process, address):
        yield address.replace("http", "ws") + "/v1/watch"
    assert process.returncode in (0, -15)


def told(socket):
    """The next message as JSON, with its picture where there is one."""
    body = json.loads(socket.recv(timeout=PATIENCE_S))
    return body, socket.recv(timeout=PATIENCE_S) if "schema" in body else None


def test_a_videos_viewers_are_told_of_its_end(sample, tmp_path):
    film(tmp_path / "hip.mp4", [sample] * 60)
    with watched("--source", tmp_path / "hip.mp4") as url:
        with connected(url) as viewer:
            seen = [told(viewer)]
            while "watch" not in seen[-1][0]:
                seen.append(told(viewer))
            with pytest.raises(ConnectionClosed) as closed:
                viewer.recv(timeout=PATIENCE_S)
        *answers, (last, _) = seen
        assert last == {"watch": "ended", "detail": f"{tmp_path / 'hip.mp4'} has ended"}
        assert closed.value.rcvd.code == 1000 and "has ended" in closed.value.rcvd.reason
        assert [a["seq"] for a, _ in answers] == sorted({a["seq"] for a, _ in answers})
        assert answers[-1][0]["seq"] == 59
        picture = cv2.imdecode(np.frombuffer(answers[-1][1], np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape[:2] == sample.frame.grey.shape
        with connected(url) as late:
            assert told(late)[0]["seq"] == 59
            assert told(late)[0]["watch"] == "ended"


def test_lines_that_nobody_takes_any_more_end_the_watch_without_a_fault(sample, tmp_path):
    film(tmp_path / "hip.mp4", [sample] * 120)
    words = ("watch", "--source", tmp_path / "hip.mp4", "--lines", "--port", free_port())
    command = [sys.executable, str(ROOT / "hipsono.py"), *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert "schema" in process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == 0
    assert "nobody takes the lines" in said
    assert "rror" not in said


class Camera(BaseHTTPRequestHandler):
    """A network camera that plays one JPEG for ever, unless it is off."""

    on = Event()
    picture = b""

    def do_GET(self):
        if not self.on.is_set():
            self.send_error(503)
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=x")
        self.end_headers()
        head = b"--x\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(self.picture)
        while self.on.is_set():
            self.wfile.write(head + self.picture + b"\r\n")
            time.sleep(0.05)

    def log_message(self, *_):
        pass


@contextmanager
def network_camera(sample, _):
    """Its address, and what turns it off and on again."""
    Camera.picture = cv2.imencode(".jpg", sample.frame.grey)[1].tobytes()
    Camera.on.set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/live.mjpg", Camera.on.clear, Camera.on.set
    Camera.on.clear()
    server.shutdown()
    server.server_close()


@contextmanager
def rtsp_camera(sample, folder):
    """The same with GStreamer's RTSP server, killed and started again."""
    if not gstreamer():
        pytest.skip("no GStreamer RTSP server: install python3-gi and gir1.2-gst-rtsp-server-1.0")
    cv2.imwrite(str(folder / "0000.jpg"), cv2.resize(cv2.cvtColor(sample.frame.grey, cv2.COLOR_GRAY2BGR), (640, 480)))
    port, running = free_port(), []

    def turn_on():
        command = [SYSTEM_PYTHON, str(PEERS / "rtsp_peer.py"), str(port), str(folder)]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        assert running[-1].stdout.readline() == b"up\n"

    def turn_off():
        running[-1].kill()
        running[-1].communicate(timeout=PATIENCE_S)

    turn_on()
    yield f"rtsp://127.0.0.1:{port}/live", turn_off, turn_on
    turn_off()


@pytest.mark.parametrize("camera", [network_camera, rtsp_camera])
def test_a_network_stream_that_is_lost_is_told_and_taken_up_again(sample, tmp_path, camera):
    with (
        camera(sample, tmp_path) as (source, turn_off, turn_on),
        watched("--source", source) as url,
        connected(url) as viewer,
    ):
        before, picture = told(viewer)
        assert picture.startswith(b"\xff\xd8")
        turn_off()
        while "schema" in (said := told(viewer)[0]):
            before = said
        assert said["watch"] == "silent" and source in said["detail"]
        with connected(url) as newcomer:
            assert told(newcomer)[0]["watch"] == "silent"
        turn_on()
        after = told(viewer)[0]
        assert after["seq"] > before["seq"]
        assert after["cine"]["number"] == before["cine"]["number"] + 1


@pytest.mark.skipif(not Path(DEVICE).exists(), reason=f"no grabber at {DEVICE}: name one in HIPSONO_V4L2")
def test_a_grabber_is_watched_at_the_size_asked():
    words = ("watch", "--source", DEVICE, "--size", "640x480", "--rate", "10", "--lines", "--port", str(free_port()))
    process = subprocess.Popen([sys.executable, str(ROOT / "hipsono.py"), *words], stdout=subprocess.PIPE, text=True)
    try:
        answers = [json.loads(process.stdout.readline()) for _ in range(3)]
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)
    assert (answers[0]["frame"]["width"], answers[0]["frame"]["height"]) == (640, 480)
