"""How long after the camera took a picture its overlay is on the viewer page: a real Chromium with a made-up camera."""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import orjson
from playwright.sync_api import Page, WebSocket, sync_playwright

from serving.bench.pictures import Pictures
from serving.bench.servers import Served

FRAME_MS: Final = 1e3 / 30
"""The made-up camera's pace."""
_QUIET: Final = (
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
)  # fmt: skip
_COLLECT: Final = """() => {
  const picture = document.getElementById("picture");
  window.shown = [];
  new MutationObserver(() => window.shown.push(Number(picture.dataset.shownAfterMs)))
    .observe(picture, {attributes: true, attributeFilter: ["data-shown-after-ms"]});
}"""


@dataclass(frozen=True, slots=True)
class Shown:
    """Of each frame, ms: from the camera's picture to its overlay on screen, and the server's own part of it."""

    page_ms: tuple[float, ...]
    server_ms: tuple[float, ...]

    @property
    def allowed_ms(self) -> float:
        """Half as long again as the server takes in the median, and a frame."""
        return 1.5 * float(np.median(self.server_ms)) + FRAME_MS


def chromium() -> str | None:
    """The browser's path: HIPSONO_CHROMIUM, or what is installed; None without one."""
    return os.environ.get("HIPSONO_CHROMIUM") or shutil.which("chromium")


def watch_page(server: Served, shown: Pictures, seconds: float) -> Shown:
    """Lets the page read a camera for so long. Raises RuntimeError without a browser."""
    path = chromium()
    if path is None:
        raise RuntimeError("no chromium: install it, or name it in HIPSONO_CHROMIUM")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        film = Path(folder) / "hip.mjpeg"
        film.write_bytes(b"".join(shown.jpegs))
        browser = playwright.chromium.launch(
            executable_path=path, args=[*_QUIET, f"--use-file-for-fake-video-capture={film}"]
        )
        try:
            return _watched(browser.new_page(viewport={"width": 1400, "height": 900}), server.port, seconds)
        finally:
            browser.close()


def _watched(page: Page, port: int, seconds: float) -> Shown:
    ages: list[float] = []

    def hear(payload: str | bytes) -> None:
        told = orjson.loads(payload)
        if "age_ms" in told:
            ages.append(told["age_ms"])

    def attend(socket: WebSocket) -> None:
        socket.on("framereceived", hear)

    page.on("websocket", attend)
    page.goto(f"http://127.0.0.1:{port}")
    page.evaluate(_COLLECT)
    page.click("#camera")
    page.wait_for_function("window.shown.length > 10", timeout=60_000)
    page.evaluate("window.shown.length = 0")
    ages.clear()
    page.wait_for_timeout(1e3 * seconds)
    return Shown(tuple(page.evaluate("window.shown")), tuple(ages))
