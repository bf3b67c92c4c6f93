"""A camera and a video read live: frozen, let go, told when they stall, found again when the server comes back."""

import json
import os
import re
import signal

import cv2
import pytest
from playwright.sync_api import expect
from websockets.sync.client import connect

from datasets.phantom.cine import cine
from model.anatomy import View
from tests import known_hips
from tests.flow.conftest import CHROMIUM, launched, new_page, started
from tests.waiting import PATIENCE_S

SEED = known_hips.LONGITUDINAL
NOTHING = "\u2013"
PULSE = re.compile(r"Live · [\d.]+ frames/s · newest \d+ ms old when shown · \d+ of \d+ skipped")
LOOPED = """() => { const make = document.createElement.bind(document);
  document.createElement = (name) => Object.assign(make(name), name === 'video' ? { loop: true } : {}); }"""
"""A video then has no end while it is looked at."""
STALLED = """() => { const pulse = document.getElementById('pulse');
  new MutationObserver(() => { window.stalledFor ??= pulse.textContent.match(/No answer for ([\\d.]+) s/)?.[1]; })
    .observe(pulse, { childList: true }); }"""
"""Keeps how long nothing had come when that was told first."""

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no chromium: install it, or name it in HIPSONO_CHROMIUM")


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "hip.webm"
    frames = [f.frame.grey for f in cine(SEED, View.LONGITUDINAL, 6)]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"VP80"), 5, frames[0].shape[::-1])
    assert writer.isOpened()
    for grey in frames:
        writer.write(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))
    writer.release()
    return path


def test_a_video_is_read_live(page, server, film):
    page.goto(server)
    page.fill("#age", "9")
    page.set_input_files("#file", str(film))
    page.wait_for_function("document.getElementById('state').textContent.includes('read live')")
    assert "Anterior" in page.inner_text("#view")
    assert "Cine so far: grade" in page.inner_text("#cine")
    assert page.is_visible("#strip")


@pytest.fixture(scope="module")
def fake_camera(chromium, tmp_path_factory):
    """A Chromium whose camera shows a phantom cine over and over."""
    film = tmp_path_factory.mktemp("camera") / "hip.mjpeg"
    pictures = (cv2.resize(f.frame.grey, (960, 720)) for f in cine(SEED, View.LONGITUDINAL, 8))
    film.write_bytes(b"".join(cv2.imencode(".jpg", p)[1].tobytes() for p in pictures))
    fakes = [
        "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    ]  # fmt: skip
    opened = launched(chromium, *fakes)
    yield opened
    opened.close()


@pytest.fixture
def camera_page(fake_camera, server):
    opened = camera_on(fake_camera, server)
    yield opened
    opened.close()


def position(page):
    return page.inner_text("#position")


def test_a_camera_is_read_live_frozen_and_let_go(camera_page):
    page = camera_page
    page.wait_for_function("Number(document.getElementById('position').textContent.split('/')[1]) > 5")
    page.keyboard.press("f")
    assert page.get_attribute("#freeze", "aria-pressed") == "true"
    held = position(page).split("/")[0]
    page.wait_for_function(
        "n => Number(document.getElementById('position').textContent.split('/')[1]) > n",
        arg=int(position(page).split("/")[1]) + 3,
    )
    assert position(page).split("/")[0] == held
    page.keyboard.press("ArrowLeft")
    page.wait_for_function(
        "n => document.getElementById('position').textContent.startsWith(n)", arg=f"{int(held) - 1} /"
    )
    page.keyboard.press("f")
    page.wait_for_function(
        "(([a, b]) => a.trim() === b.trim())(document.getElementById('position').textContent.split('/'))"
    )
    page.click("#camera")
    page.wait_for_function("document.getElementById('camera').textContent === 'Camera'")
    stopped = position(page)
    page.wait_for_timeout(500)
    assert position(page) == stopped


def test_a_picture_and_its_reading_are_saved(camera_page):
    page = camera_page
    page.keyboard.press("f")
    with page.expect_download() as picture:
        page.keyboard.press("s")
    with page.expect_download() as reading:
        page.keyboard.press("r")
    saved = json.loads(reading.value.path().read_text())
    assert saved["notice"] == "research use; not a medical device"
    assert saved["id"] in picture.value.suggested_filename
    assert cv2.imread(str(picture.value.path())).shape[:2] == (saved["frame"]["height"], saved["frame"]["width"])


def camera_on(browser, address):
    page = new_page(browser)
    page.goto(address)
    page.click("#camera")
    page.wait_for_function("document.getElementById('view').textContent.startsWith('Anterior')")
    return page


def test_pace_age_and_skipped_frames_are_told_and_a_stopped_camera_is_not_live(camera_page):
    page = camera_page
    expect(page.locator("#pulse")).to_have_text(PULSE)
    expect(page.locator("#state")).to_contain_text("Camera: ")
    page.keyboard.press("f")
    expect(page.locator("#pulse")).to_contain_text("Frozen")
    page.keyboard.press("f")
    page.click("#camera")
    expect(page.locator("#state")).to_have_text("Camera stopped")
    expect(page.locator("#pulse")).to_have_text("")
    page.wait_for_timeout(700)
    assert page.inner_text("#state") == "Camera stopped"
    expect(page.locator("#stale")).to_have_text("")
    assert page.is_disabled("#freeze")


def test_a_camera_that_is_unplugged_is_told_and_let_go(fake_camera, server):
    page = new_page(fake_camera)
    page.add_init_script(
        """const real = MediaDevices.prototype.getUserMedia;
        MediaDevices.prototype.getUserMedia = async function (wanted) {
          return (window.media = await real.call(this, wanted)); };"""
    )
    page.goto(server)
    page.click("#camera")
    expect(page.locator("#pulse")).to_contain_text("Live")
    page.evaluate("window.media.getTracks()[0].stop()")
    expect(page.locator("#state")).to_contain_text("gives no more pictures")
    expect(page.locator("#camera")).to_have_text("Camera")
    expect(page.locator("#pulse")).to_have_text("")
    page.close()


def test_a_video_opened_while_the_camera_runs_can_be_frozen(camera_page, film):
    page = camera_page
    page.evaluate(LOOPED)
    page.set_input_files("#file", str(film))
    expect(page.locator("#camera")).to_have_text("Camera")
    expect(page.locator("#position")).to_have_text(re.compile(r"\d+ / \d+"))
    page.wait_for_timeout(300)
    assert page.is_enabled("#freeze")
    page.keyboard.press("f")
    assert page.get_attribute("#freeze", "aria-pressed") == "true"


def test_a_server_that_stalls_or_is_started_anew_is_told_and_found_again(fake_camera):
    process, address = started("serve")
    try:
        page = camera_on(fake_camera, address)
        page.evaluate(STALLED)
        os.kill(process.pid, signal.SIGSTOP)
        expect(page.locator("#stale")).to_have_text("STALE")
        expect(page.locator("#pulse")).to_contain_text("No answer for")
        assert float(page.evaluate("window.stalledFor")) < 3, "told soon, by the page's own clock"
        assert "stale" in page.get_attribute("#drop", "class")
        os.kill(process.pid, signal.SIGCONT)
        expect(page.locator("#pulse")).to_contain_text("Live")
        process.kill()
        process.wait(PATIENCE_S)
        expect(page.locator("#state")).to_contain_text("trying again")
        expect(page.locator("#stale")).to_have_text("STALE")
        process, _ = started("serve", port=int(address.rsplit(":", 1)[1]))
        expect(page.locator("#state")).to_contain_text("is back")
        expect(page.locator("#pulse")).to_contain_text("Live")
        before = int(position(page).split("/")[1])
        page.wait_for_function(
            "n => Number(document.getElementById('position').textContent.split('/')[1]) > n", arg=before + 3
        )
        page.close()
    finally:
        process.kill()
        process.wait(PATIENCE_S)


def test_scale_age_and_side_hold_from_the_moment_they_are_changed(camera_page):
    page = camera_page
    expect(page.locator("#talk")).to_contain_text("no scale")
    page.fill("#spacing", "0.1,0.1")
    page.press("#spacing", "Tab")
    expect(page.locator("#talk")).to_contain_text("0.100 x 0.100 mm per pixel")
    page.fill("#age", "9")
    page.press("#age", "Tab")
    expect(page.locator("#evidence")).to_contain_text("at this age")
    page.select_option("#laterality", "right")
    expect(page.locator("#state")).to_contain_text("right hip")


def test_an_age_that_is_none_is_marked_and_the_last_one_holds(camera_page):
    page = camera_page
    page.fill("#age", "9,5")
    page.press("#age", "Tab")
    assert page.get_attribute("#age", "aria-invalid") == "true"
    expect(page.locator("#age-wrong")).to_contain_text("0 to 130")
    page.fill("#age", "9.5")
    page.press("#age", "Tab")
    assert page.get_attribute("#age", "aria-invalid") == "false"
    expect(page.locator("#age-wrong")).to_have_text("")
    expect(page.locator("#state")).to_contain_text("9.5 years")


def test_nothing_is_read_under_a_scale_that_is_none(page, server, film):
    page.goto(server)
    for wrong in ("0.1", "0.1,0", "0.1,-1", "a,b", "0.1,0.1,0.1"):
        page.fill("#spacing", wrong)
        page.set_input_files("#file", str(film))
        expect(page.locator("#state")).to_contain_text("Not begun")
        assert page.get_attribute("#spacing", "aria-invalid") == "true"
        assert position(page) == NOTHING


def test_a_full_server_says_so_until_it_has_room(fake_camera):
    process, address = started("serve", HIPSONO_MAX_STREAMS="1")
    page = fake_camera.new_page()
    try:
        with connect(f"{address.replace('http', 'ws')}/v1/stream"):
            page.goto(address)
            page.evaluate(
                """window.said = [];
                const line = document.getElementById("state");
                new MutationObserver(() => window.said.push(line.textContent)).observe(line, { childList: true });"""
            )
            page.click("#camera")
            expect(page.locator("#state")).to_contain_text("HIPSONO_MAX_STREAMS", timeout=30_000)
            page.wait_for_timeout(1500)
            assert not [told for told in page.evaluate("window.said") if "is back" in told]
        expect(page.locator("#pulse")).to_contain_text("Live", timeout=60_000)
        expect(page.locator("#state")).to_have_text("The connection to the server is back")
    finally:
        page.close()
        process.terminate()
        process.wait(timeout=20)
