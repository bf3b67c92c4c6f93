"""The page in a real headless Chromium: what a person drops is drawn, graded and measured."""

import json
import os
import re
import shutil

import cv2
import pytest
from playwright.sync_api import expect, sync_playwright

from datasets.dicom_write import write_dicom
from datasets.phantom.cine import cine
from model.anatomy import View

CHROMIUM = os.environ.get("HIPSONO_CHROMIUM") or shutil.which("chromium") or ""
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip
SEED = 3_000_097

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no chromium: install it, or name it in HIPSONO_CHROMIUM")


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        yield playwright.chromium


@pytest.fixture(scope="module")
def browser(chromium):
    opened = chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    yield opened
    opened.close()


@pytest.fixture
def page(browser):
    opened = browser.new_page(viewport={"width": 1400, "height": 900})
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    yield opened
    opened.close()
    assert faults == []


def coloured_pixels(page):
    """How many pixels of the canvas are far from grey: only an overlay makes them."""
    return page.evaluate(
        """() => { const c = document.getElementById('picture');
        const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0;
        for (let k = 0; k < d.length; k += 4)
          if (Math.max(d[k], d[k + 1], d[k + 2]) - Math.min(d[k], d[k + 1], d[k + 2]) > 60) n += 1;
        return n; }"""
    )


def test_a_picture_is_read_and_drawn(page, server, tmp_path):
    path = tmp_path / "hip.png"
    cv2.imwrite(str(path), next(iter(cine(SEED, View.LONGITUDINAL, 1))).frame.grey)
    page.goto(server)
    assert "not a medical device" in page.inner_text("#notice")
    page.fill("#spacing", "0.1,0.1")
    page.fill("#age", "9")
    page.select_option("#laterality", "right")
    with page.expect_request("**/v1/frames*") as sent:
        page.set_input_files("#file", str(path))
    assert "laterality=right" in sent.value.url
    page.wait_for_function("document.getElementById('view').textContent.includes('Anterior')")
    assert "median at this age" in page.inner_text("#evidence")
    assert page.inner_text("#grade").strip() in "0123"
    assert "capsule" in page.inner_text("#evidence")
    assert re.search(r"\d mm \(SD \d", page.inner_text("#measurements"))
    assert coloured_pixels(page) > 300
    drawn = coloured_pixels(page)
    page.uncheck("#structures label:visible >> nth=0 >> input")
    assert coloured_pixels(page) < drawn


def test_a_dicom_cine_plays_with_its_own_scale(page, server, tmp_path):
    path = tmp_path / "cine.dcm"
    write_dicom(list(cine(SEED, View.LONGITUDINAL, 4)), path)
    page.goto(server)
    page.set_input_files("#file", str(path))
    page.wait_for_function("document.getElementById('position').textContent.endsWith('/ 4')")
    expect(page.locator("#talk")).to_contain_text("dicom-region")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#position")).to_have_text("2 / 4")
    page.click("#play")
    expect(page.locator("#position")).not_to_have_text("2 / 4")


def test_a_broken_file_says_what_is_wrong(page, server, tmp_path):
    path = tmp_path / "broken.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    page.goto(server)
    page.set_input_files("#file", str(path))
    page.wait_for_selector("#state.bad")
    assert "PNG" in page.inner_text("#state")


def test_a_video_is_read_live(page, server, tmp_path):
    path = tmp_path / "hip.webm"
    frames = [f.frame.grey for f in cine(SEED, View.LONGITUDINAL, 6)]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"VP80"), 5, frames[0].shape[::-1])
    assert writer.isOpened()
    for grey in frames:
        writer.write(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))
    writer.release()
    page.goto(server)
    page.fill("#age", "9")
    page.set_input_files("#file", str(path))
    page.wait_for_function("document.getElementById('state').textContent.includes('read live')", timeout=60_000)
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
    opened = chromium.launch(executable_path=CHROMIUM, args=FLAGS + fakes)
    yield opened
    opened.close()


@pytest.fixture
def camera_page(fake_camera, server):
    opened = fake_camera.new_page(viewport={"width": 1400, "height": 900})
    opened.goto(server)
    opened.click("#camera")
    opened.wait_for_function("document.getElementById('view').textContent.startsWith('Anterior')", timeout=60_000)
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


def test_a_line_drawn_by_hand_is_measured_by_the_frames_scale(page, server, tmp_path):
    path = tmp_path / "hip.png"
    grey = next(iter(cine(SEED, View.LONGITUDINAL, 1))).frame.grey
    cv2.imwrite(str(path), grey)
    page.goto(server)
    page.fill("#spacing", "0.1,0.1")
    page.set_input_files("#file", str(path))
    page.wait_for_function("document.getElementById('view').textContent.includes('Anterior')")
    box = page.locator("#picture").bounding_box()
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.up()
    told = float(page.inner_text("#tape").removesuffix(" mm"))
    assert told == pytest.approx(0.5 * grey.shape[1] * 0.1, rel=0.02)


def test_switches_theme_size_and_keys(page, server):
    page.goto(server)
    page.keyboard.press("t")
    assert page.get_attribute("html", "data-theme") == "light"
    page.keyboard.press("d")
    assert float(page.evaluate("parseFloat(getComputedStyle(document.getElementById('grade')).fontSize)")) > 40
    page.keyboard.press("?")
    assert page.is_visible("#keys")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_everything_one_can_press_has_a_name(page, server):
    page.goto(server)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, input, select, canvas')]
        .filter((e) => e.getAttribute('aria-hidden') !== 'true'
            && !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.[0]?.textContent.trim()))
        .map((e) => e.id)"""
    )
    assert nameless == []


@pytest.mark.parametrize("width", [700, 1400])
def test_nothing_runs_off_the_page(page, server, tmp_path, width):
    """700 pixels are what 1400 are at 200 % zoom."""
    path = tmp_path / "hip.png"
    cv2.imwrite(str(path), next(iter(cine(SEED, View.LONGITUDINAL, 1))).frame.grey)
    page.set_viewport_size({"width": width, "height": 700})
    page.goto(server)
    page.set_input_files("#file", str(path))
    page.wait_for_function("document.getElementById('view').textContent.includes('Anterior')")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_demo_shows_landmarks_on_all_three_views(page, demo):
    page.goto(demo)
    seen = set()
    for name in ("Iliopectineal", "Inferomedial", "Anterior"):
        page.wait_for_function(
            f"""document.getElementById('view').textContent.startsWith('{name}')
            && !document.getElementById('picture').getAttribute('aria-label').includes('nothing located')""",
            timeout=90_000,
        )
        assert coloured_pixels(page) > 100
        seen.add(name)
    assert len(seen) == 3
