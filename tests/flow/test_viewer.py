"""The page in a real headless Chromium: what a person drops is drawn, graded and measured."""

import re

import cv2
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from datasets.dicom_write import write_dicom
from datasets.phantom.cine import cine
from model.anatomy import View
from tests import known_hips
from tests.flow.conftest import CHROMIUM

SEED = known_hips.LONGITUDINAL

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no chromium: install it, or name it in HIPSONO_CHROMIUM")


COLOURED = """() => { const c = document.getElementById('picture');
  const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0;
  for (let k = 0; k < d.length; k += 4)
    if (Math.max(d[k], d[k + 1], d[k + 2]) - Math.min(d[k], d[k + 1], d[k + 2]) > 60) n += 1;
  return n; }"""
"""How many pixels of the canvas are far from grey: only an overlay makes them."""


GREYS = """() => { const c = document.getElementById('picture');
  return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].filter((_, k) => k % 4 === 0); }"""
SHAPE = "(c => [c.height, c.width])(document.getElementById('picture'))"


def coloured_pixels(page):
    return page.evaluate(COLOURED)


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
    expect(page.locator("#state")).to_have_text(re.compile(r"cine\.dcm: 4 frames, grade \d \(\d+ %\) from \d of them"))


def test_a_picture_is_shown_as_it_was_read(page, server, tmp_path):
    """Not as a browser would: turned by its EXIF orientation, and twelve bits in sixteen nearly black."""
    grey = next(iter(cine(SEED, View.LONGITUDINAL, 1))).frame.grey
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.fromarray(grey).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    cv2.imwrite(str(tmp_path / "deep.png"), grey.astype(np.uint16) << 4)
    page.goto(server)
    page.click("#overlay")
    for name in ("turned.jpg", "deep.png"):
        page.set_input_files("#file", str(tmp_path / name))
        expect(page.locator("#state")).to_have_text(name)
        shown = np.array(page.evaluate(GREYS), np.float64).reshape(page.evaluate(SHAPE))
        assert shown.shape == grey.shape
        assert np.abs(shown - grey).mean() < 4


def test_a_server_that_is_gone_is_told(page, server, tmp_path):
    path = tmp_path / "hip.png"
    cv2.imwrite(str(path), next(iter(cine(SEED, View.LONGITUDINAL, 1))).frame.grey)
    page.goto(server)
    page.route("**/v1/frames*", lambda route: route.abort())
    page.set_input_files("#file", str(path))
    expect(page.locator("#state.bad")).to_have_text("The server cannot be reached: is it running?")


def test_a_broken_file_says_what_is_wrong(page, server, tmp_path):
    path = tmp_path / "broken.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    page.goto(server)
    page.set_input_files("#file", str(path))
    page.wait_for_selector("#state.bad")
    assert "PNG" in page.inner_text("#state")


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
    sizes = []
    for _ in range(2):
        sizes.append(page.evaluate("parseFloat(getComputedStyle(document.getElementById('grade')).fontSize)"))
        page.keyboard.press("d")
    assert sizes[1] > 2 * sizes[0]
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


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize(("width", "least"), [(700, 600), (1000, 590), (1400, 600)])
def test_nothing_runs_off_the_page_and_the_picture_stays_large(page, server, tmp_path, width, least, large):
    """700 pixels are what 1400 are at 200 % zoom."""
    path = tmp_path / "hip.png"
    cv2.imwrite(str(path), next(iter(cine(SEED, View.LONGITUDINAL, 1))).frame.grey)
    page.set_viewport_size({"width": width, "height": 700})
    page.goto(server)
    page.set_input_files("#file", str(path))
    page.wait_for_function("document.getElementById('view').textContent.includes('Anterior')")
    if large:
        page.click("#far")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("#picture").bounding_box()["width"] >= least


def test_the_demo_shows_landmarks_on_all_three_views(page, demo):
    page.goto(demo)
    for name in ("Iliopectineal", "Inferomedial", "Anterior"):
        page.wait_for_function(
            f"""() => document.getElementById('view').textContent.startsWith('{name}')
            && !document.getElementById('picture').getAttribute('aria-label').includes('nothing located')
            && ({COLOURED})() > 100"""
        )


def test_an_open_picture_is_read_again_when_its_scale_is_told(page, server, tmp_path):
    path = tmp_path / "hip.png"
    cv2.imwrite(str(path), next(iter(cine(SEED, View.LONGITUDINAL, 1))).frame.grey)
    page.goto(server)
    page.set_input_files("#file", str(path))
    expect(page.locator("#talk")).to_contain_text("no scale")
    page.fill("#spacing", "0.1,0.1")
    page.press("#spacing", "Tab")
    expect(page.locator("#talk")).to_contain_text("0.100 x 0.100 mm per pixel")
