"""A real server in a process of its own, and pages of it in a real headless Chromium."""

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

import cv2
import pytest
from websockets.sync.client import connect

from datasets.phantom.cine import cine
from model.anatomy import View
from tests import known_hips
from tests.waiting import PATIENCE_S, until

ROOT = Path(__file__).resolve().parents[2]
_AT_ONCE = 16
_MINE = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _AT_ONCE
_PORTS = range(10_000 + _MINE, 32_000, _AT_ONCE)
_UNTRIED = iter(random.sample(_PORTS, len(_PORTS)))

CHROMIUM = os.environ.get("HIPSONO_CHROMIUM") or shutil.which("chromium") or ""
CHROMIUM_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip


def free_port():
    """Nobody else takes it before it is used: each is given once, to one of the tests that run beside one another, and
    the system gives higher ones to whoever asks for any.
    """
    for port in _UNTRIED:
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise RuntimeError("every port is taken")


def started(*verb, port=None, stderr=None, **environment):
    """A hipsono process that serves, however slowly, and its address."""
    port = port or free_port()
    command = [sys.executable, str(ROOT / "hipsono.py"), *verb, "--port", str(port)]
    calm = {"PYTHONDONTWRITEBYTECODE": "1", "HIPSONO_DEADLINE_MS": f"{1e3 * PATIENCE_S:.0f}"}
    process = subprocess.Popen(command, cwd="/", env={**os.environ, **calm, **environment}, stderr=stderr)
    address = f"http://127.0.0.1:{port}"
    try:
        until(lambda: is_ready(process, f"{address}/readyz"))
    except BaseException:
        process.kill()
        process.wait()
        raise
    return process, address


def connected(url, **options):
    """A WebSocket, however slowly it is opened."""
    return connect(url, open_timeout=PATIENCE_S, **options)


def is_ready(process, url):
    assert process.poll() is None, f"{process.args} did not start"
    with suppress(OSError), urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
        return answer.status == 200


@contextmanager
def serving(*verb, **environment):
    """The same until the block ends."""
    process, address = started(*verb, **environment)
    try:
        yield process, address
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


@pytest.fixture(scope="session")
def server():
    with serving("serve") as (_, address):
        yield address


@pytest.fixture(scope="session")
def demo():
    with serving("demo") as (_, address):
        yield address


@pytest.fixture(scope="module")
def chromium():
    """A module's own: while it is open the thread has a running event loop, and other modules' tests run theirs."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=1e3 * PATIENCE_S)
    with sync_playwright() as playwright:
        yield playwright.chromium


def launched(chromium, *flags):
    """A browser, however slowly it starts."""
    return chromium.launch(executable_path=CHROMIUM, args=[*CHROMIUM_FLAGS, *flags], timeout=1e3 * PATIENCE_S)


@pytest.fixture(scope="module")
def browser(chromium):
    opened = launched(chromium)
    yield opened
    opened.close()


def new_page(browser):
    opened = browser.new_page(viewport={"width": 1400, "height": 900})
    opened.set_default_timeout(1e3 * PATIENCE_S)
    return opened


@pytest.fixture
def page(browser):
    opened = new_page(browser)
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    yield opened
    opened.close()
    assert faults == []


@pytest.fixture(scope="session")
def picture():
    """A longitudinal frame as a workstation would send it."""
    pixels = next(iter(cine(known_hips.LONGITUDINAL, View.LONGITUDINAL, 1))).frame.grey
    return cv2.imencode(".jpg", pixels)[1].tobytes()


@pytest.fixture(scope="session")
def reading(server):
    """A real reading of a small longitudinal picture, for peers of the page that tell what a test wants told."""
    grey = cv2.resize(next(iter(cine(known_hips.LONGITUDINAL, View.LONGITUDINAL, 1))).frame.grey, (320, 240))
    jpeg = cv2.imencode(".jpg", grey)[1].tobytes()
    request = urllib.request.Request(f"{server}/v1/frames?age_years=9", jpeg, {"Content-Type": "image/jpeg"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)
