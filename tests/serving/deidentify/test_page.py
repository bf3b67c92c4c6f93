"""The clearing page in a real headless Chromium: a box drawn by hand is black in what goes out."""

import json
import shutil
import socket
import subprocess
import sys

import pytest

from datasets.dicom import read_dicom
from serving.deidentify.release import list_withheld
from tests.flow.conftest import CHROMIUM, free_port, launched
from tests.serving.deidentify.conftest import INSIDE, OUTSIDE, uid_of
from tests.waiting import PATIENCE_S, until

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no chromium: install it, or name it in HIPSONO_CHROMIUM")


@pytest.fixture
def out(graded, tmp_path):
    """The run, with nothing found in one of its two files."""
    out = shutil.copytree(graded, tmp_path / "out")
    told = list_withheld(out)[uid_of(out, OUTSIDE)].path.with_suffix(".json")
    told.write_text(json.dumps(json.loads(told.read_text()) | {"found": []}))
    return out


@pytest.fixture
def page(out):
    sync_api = pytest.importorskip("playwright.sync_api")
    port = free_port()
    command = [sys.executable, "hipsono.py", "clear", str(out), "--by", "A. Kim", "--port", str(port)]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        with sync_api.sync_playwright() as playwright:
            browser = launched(playwright.chromium)
            opened = browser.new_page(viewport={"width": 1400, "height": 1000})
            opened.set_default_timeout(1e3 * PATIENCE_S)
            faults = []
            opened.on("pageerror", lambda error: faults.append(str(error)))
            until(lambda: listens(server, port))
            opened.goto(f"http://127.0.0.1:{port}/")
            yield opened, out
            browser.close()
            assert faults == []
    finally:
        server.terminate()
        server.wait(PATIENCE_S)


def listens(server, port):
    assert server.poll() is None, "it did not start"
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_name_is_blanked_by_hand_and_the_file_cleared(page):
    opened, out = page
    uid = uid_of(out, INSIDE)
    card = opened.locator("article").first
    card.locator("rect.named").first.wait_for()
    assert "KOWALSKI" in card.inner_text()
    box = card.locator("rect.named").first.bounding_box()
    opened.mouse.move(box["x"] - 4, box["y"] - 4)
    opened.mouse.down()
    opened.mouse.move(box["x"] + box["width"] + 4, box["y"] + box["height"] + 4)
    opened.mouse.up()
    opened.get_by_role("button", name="Blank and clear", exact=True).click()
    opened.get_by_role("button", name="Cleared", exact=True).click()
    opened.locator("article .cleared", has_text="A. Kim").wait_for()
    frame = read_dicom(out / "images" / f"{uid}.dcm").frame(2)
    x, y = frame.width // 2, frame.height // 2
    assert not frame.grey[y - 12 : y, x - 48 : x + 40].any()


def test_pictures_without_a_find_are_cleared_together_after_a_question(page):
    opened, out = page
    opened.locator("article").nth(1).wait_for()
    together = opened.get_by_role("button", name="Clear those shown without a find")
    asked = []
    opened.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.accept()))
    together.click()
    opened.locator("#where", has_text="1 files").wait_for()
    assert "these 1 pictures" in asked[0]
    assert [path.stem for path in out.glob("images/*.dcm")] == [uid_of(out, OUTSIDE)]
    assert together.is_disabled()
