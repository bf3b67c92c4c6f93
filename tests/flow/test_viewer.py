"""The page in a real headless Chromium: what a person drops is drawn, graded and measured."""

import os
import re
import shutil

import cv2
import pytest
from playwright.sync_api import sync_playwright

from datasets.dicom_write import write_dicom
from datasets.phantom.cine import cine
from model.anatomy import View

CHROMIUM = os.environ.get("HIPSONO_CHROMIUM") or shutil.which("chromium") or ""
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip
SEED = 3_000_047

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no chromium: install it, or name it in HIPSONO_CHROMIUM")


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
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
    page.uncheck("#structures label:last-child input")
    assert coloured_pixels(page) < drawn


def test_a_dicom_cine_plays_with_its_own_scale(page, server, tmp_path):
    path = tmp_path / "cine.dcm"
    write_dicom(list(cine(SEED, View.LONGITUDINAL, 4)), path)
    page.goto(server)
    page.set_input_files("#file", str(path))
    page.wait_for_function("document.getElementById('position').textContent.endsWith('/ 4')")
    page.wait_for_function("!document.getElementById('play').disabled")
    assert "dicom-region" in page.inner_text("#talk")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#position").startswith("2 /")
    page.click("#play")
    page.wait_for_function("!document.getElementById('position').textContent.startsWith('2 /')")


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
