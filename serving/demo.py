"""Phantom cines of the three hip views for the viewer: rendered in the background, played from the first frame on."""

import logging
import sys
from dataclasses import dataclass, field
from threading import Lock, Thread
from typing import Final

import cv2
from fastapi import APIRouter, FastAPI, Response

from datasets.phantom.cine import cine
from datasets.workers import worker_pool
from model.anatomy import HIP_VIEWS, View
from serving.address import check_address
from serving.problems import Problem
from serving.settings import Settings

FRAMES: Final = 24
_SEEDS: Final = {View.ILIOPECTINEAL: 3_000_110, View.INFEROMEDIAL: 3_000_040, View.LONGITUDINAL: 3_000_280}


@dataclass(slots=True)
class Clip:
    """A view's rendered frames so far, as JPEG; `spacing_mm` and `age_years` as a workstation would send them."""

    view: View
    spacing_mm: tuple[float, float] | None = None
    age_years: float | None = None
    frames: list[bytes] = field(default_factory=list)


_CLIPS: Final = {view: Clip(view) for view in HIP_VIEWS}
_LOCK: Final = Lock()


def start_demo(app: FastAPI) -> None:
    """Begins to render, once a process."""
    if not getattr(app.state, "demo_started", False):
        app.state.demo_started = True
        Thread(target=_render_all, daemon=True).start()


def demo_router() -> APIRouter:
    """The demo's routes: what there is to play, and its frames. Its truth is not shown."""
    router = APIRouter(prefix="/demo", tags=["demo"])

    @router.get("/clips")
    async def clips() -> dict[str, object]:
        """What can be played by now."""
        with _LOCK:
            told = [
                {"view": c.view, "frames": len(c.frames), "spacing_mm": c.spacing_mm, "age_years": c.age_years}
                for c in _CLIPS.values()
            ]
        return {"clips": told, "frames_each": FRAMES, "notice": "phantoms, not patients"}

    @router.get("/{view}/{index}.jpg", response_class=Response)
    async def picture(view: View, index: int) -> Response:
        """A frame of a clip as JPEG."""
        with _LOCK:
            frames = _CLIPS[view].frames if view in _CLIPS else []
            data = frames[index] if 0 <= index < len(frames) else None
        if data is None:
            raise Problem(404, f"frame {index} of {view} is not rendered: see /demo/clips")
        return Response(data, media_type="image/jpeg", headers={"Cache-Control": "max-age=3600"})

    return router


def run_demo(settings: Settings) -> None:
    """Serves the viewer with the demo until stopped, and prints its address. Raises OSError where it cannot listen."""
    from serving.app import create_app
    from serving.server import run_until_stopped, server_of

    check_address(settings.host, settings.port)
    where = f"http://{settings.host}:{settings.port}/"
    sys.stdout.write(f"hipsono demo: {where}   (phantoms, not patients; stop with Ctrl-C)\n")
    sys.stdout.flush()
    run_until_stopped(server_of(create_app(settings), settings))


def _render_all() -> None:
    with worker_pool(2) as pool:
        futures = [pool.submit(_render_part, view, start) for start in range(0, FRAMES, 8) for view in HIP_VIEWS]
        for future in futures:
            if future.exception() is not None:
                logging.getLogger("hipsono").error("a demo clip could not be drawn", exc_info=future.exception())
                continue
            view, spacing_mm, age_years, frames = future.result()
            with _LOCK:
                clip = _CLIPS[view]
                clip.spacing_mm, clip.age_years = spacing_mm, age_years
                clip.frames.extend(frames)


def _render_part(view: View, start: int) -> tuple[View, tuple[float, float] | None, float | None, list[bytes]]:
    frames, spacing, age = [], None, None
    for sample in cine(_SEEDS[view], view, FRAMES, range(start, start + 8)):
        pixels = sample.frame.pixels
        shown = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
        frames.append(cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes())
        spacing, age = sample.frame.regions[0].spacing_mm, sample.frame.age_years
    return view, spacing, age, frames
