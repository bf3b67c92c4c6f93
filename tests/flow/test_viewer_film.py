"""What the page keeps of a long cine: the picture on the screen and its reading never come apart."""

import base64
import json

import cv2
import numpy as np
import pytest
from playwright.sync_api import expect

from tests.flow.conftest import CHROMIUM

KEPT_LIVE = 600
NOTHING = "\u2013"
ALARMS = """() => { window.alarms = []; const alarm = document.getElementById('stale');
  new MutationObserver(() => window.alarms.push(alarm.textContent)).observe(alarm, { childList: true }); }"""
"""From now on every change of the alarm is kept: an alarm that is over may sound again before it is looked at."""

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no chromium: install it, or name it in HIPSONO_CHROMIUM")


def nth(reading, k, deciding=0):
    """The k-th frame of a cine, and its picture: black with a white block whose place tells k."""
    grey = np.zeros((240, 320), np.uint8)
    grey[200:220, k // 10 : k // 10 + 60] = 255
    told = {"grade": 1, "probabilities": [0.1, 0.7, 0.1, 0.1], "frames": k + 1, "deciding_seq": deciding}
    body = {"id": f"frame-{k}", "seq": k, "dropped": 0, "age_ms": 5.0, "cine": told}
    return reading | body, cv2.imencode(".jpg", grey)[1].tobytes()


def block_at(page):
    """Which picture is on the canvas, by the place of its block, in tens of frames."""
    return page.evaluate(
        """() => { const row = document.getElementById('picture').getContext('2d').getImageData(0, 210, 320, 1).data;
        for (let x = 0; x < 320; x += 1) if (row[4 * x] > 128) return x;
        return -1; }"""
    )


def saved_reading(page):
    with page.expect_download() as download:
        page.keyboard.press("r")
    return json.loads(download.value.path().read_text())["id"]


class Watched:
    """The peer behind /v1/watch: sends as many frames as a test asks for."""

    def __init__(self, page, reading):
        self.reading, self.sent, self.socket, self.left = reading, 0, None, False
        page.route_web_socket("**/v1/watch", self.connected)

    def connected(self, socket):
        self.socket = socket
        socket.on_close(lambda *_: self.closed(socket))

    def closed(self, socket):
        self.left = True
        socket.close()

    def awaited(self, page):
        while self.socket is None:
            page.wait_for_timeout(20)

    def send(self, count, deciding=0):
        for _ in range(count):
            told, jpeg = nth(self.reading, self.sent, deciding)
            self.socket.send(json.dumps(told))
            self.socket.send(jpeg)
            self.sent += 1


@pytest.fixture
def watched(page, server, reading):
    peer = Watched(page, reading)
    page.goto(f"{server}/?watch")
    peer.awaited(page)
    peer.send(3)
    expect(page.locator("#position")).to_have_text("3 / 3")
    return peer


def test_a_frozen_picture_keeps_its_reading_however_long_the_camera_runs(page, watched):
    watched.send(47)
    expect(page.locator("#position")).to_have_text("50 / 50")
    page.keyboard.press("f")
    watched.send(KEPT_LIVE + 40)
    expect(page.locator("#position")).to_have_text(f"50 / {50 + KEPT_LIVE + 40}")
    expect(page.locator("#kept")).to_have_text(f"{KEPT_LIVE} kept, 90 let go")
    assert block_at(page) == 4
    assert saved_reading(page) == "frame-49"
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#position")).to_have_text(f"49 / {50 + KEPT_LIVE + 40}")
    assert saved_reading(page) == "frame-48"


def test_a_watched_source_that_falls_silent_or_ends_is_told_in_its_own_words(page, watched):
    watched.socket.send(json.dumps({"watch": "silent", "detail": "the grabber gives nothing: opened again"}))
    expect(page.locator("#state")).to_have_text("the grabber gives nothing: opened again")
    watched.send(1)
    expect(page.locator("#state")).to_have_text("What the server watches")
    expect(page.locator("#position")).to_have_text("4 / 4")
    watched.socket.close(code=1000, reason="hip.mp4 has ended")
    expect(page.locator("#state")).to_have_text("hip.mp4 has ended: trying again")


def test_a_live_cine_lets_go_of_its_oldest_frames_but_the_deciding_one(page, watched):
    watched.send(KEPT_LIVE + 20, deciding=2)
    expect(page.locator("#position")).to_have_text(f"{KEPT_LIVE + 23} / {KEPT_LIVE + 23}")
    assert page.get_attribute("#timeline", "max") == str(KEPT_LIVE - 1)
    page.keyboard.press("g")
    expect(page.locator("#position")).to_have_text(f"3 / {KEPT_LIVE + 23}")
    assert saved_reading(page) == "frame-2"
    page.keyboard.press("ArrowRight")
    expect(page.locator("#position")).to_have_text(f"25 / {KEPT_LIVE + 23}")
    assert saved_reading(page) == "frame-24"


def test_a_long_dicom_cine_is_kept_whole(page, server, reading, tmp_path):
    count = KEPT_LIVE + 40
    lines = []
    for k in range(count):
        told, jpeg = nth(reading, k)
        lines.append(json.dumps(told | {"picture": "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()}))
    lines.append(json.dumps({"summary": {"frames": count, "error": None}}))
    page.route("**/v1/cines*", lambda route: route.fulfill(body="\n".join(lines), content_type="application/x-ndjson"))
    path = tmp_path / "cine.dcm"
    path.write_bytes(b"answered by the test")
    page.goto(server)
    page.set_input_files("#file", str(path))
    expect(page.locator("#position")).to_have_text(f"1 / {count}")
    expect(page.locator("#kept")).to_have_text("")
    assert block_at(page) == 0
    assert saved_reading(page) == "frame-0"
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#position")).to_have_text(f"{count} / {count}")
    assert block_at(page) == (count - 1) // 10
    assert saved_reading(page) == f"frame-{count - 1}"


def test_a_new_source_leaves_nothing_of_the_last_on_the_screen(page, watched, tmp_path):
    watched.send(10)
    expect(page.locator("#grade")).not_to_have_text(NOTHING)
    path = tmp_path / "broken.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    page.set_input_files("#file", str(path))
    expect(page.locator("#state")).to_have_class("bad")
    expect(page.locator("#grade")).to_have_text(NOTHING)
    assert block_at(page) == -1
    assert page.is_disabled("#save-reading")


def test_a_silent_source_is_left_when_another_is_opened(page, watched, tmp_path):
    path = tmp_path / "broken.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    page.set_input_files("#file", str(path))
    expect(page.locator("#state")).to_have_class("bad")
    page.wait_for_timeout(200)
    assert watched.left


def test_what_is_saved_is_what_is_drawn_while_the_next_picture_is_still_decoded(page, watched):
    watched.send(20)
    expect(page.locator("#position")).to_have_text("23 / 23")
    page.keyboard.press("f")
    page.evaluate("() => { window.createImageBitmap = () => new Promise(() => {}); }")
    page.keyboard.press("ArrowLeft")
    assert saved_reading(page) == "frame-22"


def test_a_watched_source_that_is_lost_is_sought_again(page, watched):
    lost, watched.socket = watched.socket, None
    lost.close()
    expect(page.locator("#state")).to_contain_text("trying again")
    expect(page.locator("#stale")).to_have_text("STALE")
    page.evaluate(ALARMS)
    watched.awaited(page)
    watched.send(2)
    expect(page.locator("#position")).to_have_text("5 / 5")
    assert page.evaluate("window.alarms[0]") == "", "it is over with the first picture, and sounds again after the last"
    expect(page.locator("#state")).to_have_text("What the server watches")
