"""The clearing page in a real headless Chromium: a box drawn by hand is black in what goes out."""

import json
import os
import shutil
import socket
import subprocess
import sys

import pydicom
import pytest

from datasets.dicom import read_dicom
from serving.deidentify.pixels import digest_of
from serving.deidentify.release import blanked, list_withheld
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
    draw(opened, (box["x"] - 4, box["y"] - 4), (box["x"] + box["width"] + 4, box["y"] + box["height"] + 4))
    opened.get_by_role("button", name="Blank and clear", exact=True).click()
    opened.get_by_role("button", name="Cleared", exact=True).click()
    opened.locator("article .cleared", has_text="A. Kim").wait_for()
    assert is_blank(out, uid)


def draw(opened, start, end):
    opened.mouse.move(*start)
    opened.mouse.down()
    opened.mouse.move(*end)
    opened.mouse.up()


def is_blank(out, uid):
    """Whether the name is gone from what is out."""
    frame = read_dicom(out / "images" / f"{uid}.dcm").frame(2)
    x, y = frame.width // 2, frame.height // 2
    return not frame.grey[y - 12 : y, x - 48 : x + 40].any()


def test_a_box_drawn_later_for_the_layout_leaves_the_name_blank(page):
    """The page posts what was drawn now, and no more: what was blanked before is the server's to know."""
    opened, out = page
    uid = uid_of(out, INSIDE)
    named = opened.locator("article").first.locator("rect.named").first
    named.wait_for()
    box = named.bounding_box()
    draw(opened, (box["x"] - 4, box["y"] - 4), (box["x"] + box["width"] + 4, box["y"] + box["height"] + 4))
    opened.get_by_role("button", name="Blank and clear", exact=True).click()
    opened.get_by_role("button", name="Cleared", exact=True).click()
    opened.locator("rect.blank").wait_for()
    draw(opened, (box["x"], box["y"] - 40), (box["x"] + 30, box["y"] - 20))
    posted = []
    opened.on("request", lambda request: posted.append(request.post_data_json) if request.method == "POST" else None)
    opened.get_by_role("button", name="Blank in all of this layout, and clear").click()
    opened.get_by_role("button", name="Undo boxes").wait_for(state="detached")
    until(lambda: opened.locator("rect.blank").count() == 2)
    assert len(posted[0]["boxes"]) == 1 and posted[0]["everywhere"]
    assert is_blank(out, uid)


def test_a_picture_that_is_another_by_now_is_shown_again_and_not_cleared(page):
    opened, out = page
    opened.locator("article rect.named").first.wait_for()
    waiting = list_withheld(out)[uid_of(out, INSIDE)]
    change_picture(waiting)
    opened.locator("article").first.get_by_role("button", name="Clear", exact=True).click()
    opened.locator("#talk", has_text="look at it again").wait_for()
    opened.locator(f'img[src*="{list_withheld(out)[waiting.note.uid].note.picture}"]').wait_for()
    assert not list(out.glob("images/*.dcm"))


def change_picture(waiting):
    """As `hipsono grade --resume` leaves a file that was exported anew."""
    dataset = blanked(pydicom.dcmread(waiting.path), [(0, 0, 300, 300)])
    dataset.save_as(waiting.path)
    note = waiting.path.with_suffix(".json")
    note.write_text(json.dumps(json.loads(note.read_text()) | {"picture": digest_of(dataset)}))
    os.utime(waiting.part.parent)


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
