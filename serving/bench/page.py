"""How long after a camera's picture reached the browser its overlay is drawn: a real Chromium with a made-up camera."""

import math
import os
import shutil
import tempfile
import time
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
_SOME_SHOWN: Final = "window.shown.length >= 10"
_PATIENCE_MS: Final = 60_000
_QUIET: Final = (
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
)  # fmt: skip
_ATTEND: Final = """(() => {
  let newest = null; // when the browser had the camera's picture that is on the <video> now
  const hadAt = new WeakMap(), sent = [];
  const video = HTMLVideoElement.prototype, ask = video.requestVideoFrameCallback;
  video.requestVideoFrameCallback = function (then) {
    return ask.call(this, (now, about) => { newest = about.captureTime; then(now, about); });
  };
  const copy = window.createImageBitmap;
  window.createImageBitmap = async (...words) => {
    const at = newest, bitmap = await copy(...words);
    hadAt.set(bitmap, at);
    return bitmap;
  };
  const post = Worker.prototype.postMessage;
  Worker.prototype.postMessage = function (told, ...rest) {
    if (told.bitmap) sent.push({ taken: told.taken, had: hadAt.get(told.bitmap) });
    return post.call(this, told, ...rest);
  };
  window.shown = [];
  const note = (had) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => window.shown.push(performance.now() - had);
    port2.postMessage(0); // taken up once the browser has drawn the page
  };
  window.watchPicture = () => {
    const picture = document.getElementById("picture");
    new MutationObserver(() => {
      const taken = performance.now() - Number(picture.dataset.shownAfterMs);
      while (sent.length > 1 && Math.abs(sent[1].taken - taken) < Math.abs(sent[0].taken - taken)) sent.shift();
      const { had } = sent[0];
      requestAnimationFrame(() => note(had));
    }).observe(picture, { attributes: true, attributeFilter: ["data-shown-after-ms"] });
  };
})()"""
"""Notes each shown frame's age on the page's clock: from the camera's picture reaching the browser (`captureTime`) to
the end of the drawing that shows its overlay (a task after the next animation frame)."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Of each frame, ms: from the camera's picture to its overlay drawn, and the server's own part of it; how many the
    server answered in all, those before the clock ran included; and how long it ran."""

    page_ms: tuple[float, ...]
    server_ms: tuple[float, ...]
    answered: int
    seconds: float

    @property
    def allowed_ms(self) -> float:
        """Half as long again as the server takes in the median, and a frame."""
        return 1.5 * float(np.median(self.server_ms)) + FRAME_MS


def chromium() -> str | None:
    """The browser's path: HIPSONO_CHROMIUM, or what is installed; None without one."""
    return os.environ.get("HIPSONO_CHROMIUM") or shutil.which("chromium")


def watch_page(server: Served, shown: Pictures, seconds: float) -> Shown:
    """Lets the page read a camera for so long, and until some frames were shown. Raises RuntimeError without a
    browser.
    """
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
    page.add_init_script(_ATTEND)
    page.goto(f"http://127.0.0.1:{port}")
    page.evaluate("watchPicture()")
    page.click("#camera")
    page.wait_for_function(_SOME_SHOWN, timeout=_PATIENCE_MS)
    page.evaluate("window.shown.length = 0")
    first, began = len(ages), time.perf_counter()
    page.wait_for_timeout(1e3 * seconds)
    page.wait_for_function(_SOME_SHOWN, timeout=_PATIENCE_MS)
    took_s = time.perf_counter() - began
    return Shown(_measured(page.evaluate("window.shown")), tuple(ages[first:]), len(ages), took_s)


def _measured(shown: list[float]) -> tuple[float, ...]:
    """Raises RuntimeError where the browser does not say when it had the camera's pictures."""
    told = tuple(age for age in shown if math.isfinite(age))
    if len(told) < len(shown) or not told:
        raise RuntimeError(f"{len(shown)} frames were shown, {len(told)} with a time of capture: try a newer Chromium")
    return told
