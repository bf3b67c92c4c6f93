"""A real server in a process of its own, and pages of it in a real headless Chromium."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import cv2
import pytest

from datasets.phantom.cine import cine
from model.anatomy import View

ROOT = Path(__file__).resolve().parents[2]


CHROMIUM = os.environ.get("HIPSONO_CHROMIUM") or shutil.which("chromium") or ""
CHROMIUM_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def started(*verb, port=None, **environment):
    """A hipsono process that serves, and its address."""
    port = port or free_port()
    command = [sys.executable, str(ROOT / "hipsono.py"), *verb, "--port", str(port)]
    process = subprocess.Popen(command, cwd="/", env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment})
    address = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            urllib.request.urlopen(f"{address}/readyz", timeout=1)
            return process, address
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.1)
    process.kill()
    raise RuntimeError(f"hipsono {' '.join(verb)} did not start")


@pytest.fixture(scope="session")
def server():
    process, address = started("serve")
    yield address
    process.terminate()
    process.wait(timeout=20)


@pytest.fixture(scope="session")
def demo():
    process, address = started("demo")
    yield address
    process.terminate()
    process.wait(timeout=20)


@pytest.fixture(scope="module")
def chromium():
    """A module's own: while it is open the thread has a running event loop, and other modules' tests run theirs."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright.chromium


@pytest.fixture(scope="module")
def browser(chromium):
    opened = chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
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


@pytest.fixture(scope="session")
def picture():
    """A longitudinal frame as a workstation would send it."""
    pixels = next(iter(cine(3_000_097, View.LONGITUDINAL, 1))).frame.grey
    return cv2.imencode(".jpg", pixels)[1].tobytes()


@pytest.fixture(scope="session")
def reading(server):
    """A real reading of a small longitudinal picture, for peers of the page that tell what a test wants told."""
    grey = cv2.resize(next(iter(cine(3_000_097, View.LONGITUDINAL, 1))).frame.grey, (320, 240))
    jpeg = cv2.imencode(".jpg", grey)[1].tobytes()
    request = urllib.request.Request(f"{server}/v1/frames?age_years=9", jpeg, {"Content-Type": "image/jpeg"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)
