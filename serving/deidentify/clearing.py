"""The page on which a person clears withheld pictures; it listens on this machine only."""

from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, Final

import numpy as np
import pydicom
import uvicorn
from fastapi import FastAPI, HTTPException, Query, Response
from fastapi.responses import FileResponse
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from starlette.middleware.trustedhost import TrustedHostMiddleware

from model.frame import Frame
from serving.deidentify.decisions import Decision, Verdict, decide, load_decisions, write_down
from serving.deidentify.layouts import load_layouts, save_layouts
from serving.deidentify.pixels import Box
from serving.deidentify.release import DECISIONS, LAYOUTS, PRIVATE, list_withheld, release, release_decided, take_back
from serving.overlay import encode_jpeg

HOST: Final = "127.0.0.1"
_PAGE: Final = Path(__file__).parent / "clearing.html"
_OPEN_FILES: Final = 4
_QUALITY: Final = 95
"""Of the pictures as JPEG: small letters are to be seen."""


class Said(BaseModel):
    """What a person says of a file; `everywhere` blanks the boxes in every file of its layout, now and later."""

    verdict: Verdict
    boxes: list[Box] = Field(default=[], max_length=100)
    everywhere: bool = False


class Desk:
    """The withheld files of a run, and the decisions of one person on them."""

    def __init__(self, out: Path, by: str) -> None:
        if not by.strip():
            raise ValueError("--by needs the name of who decides")
        self._out, self._by, self._lock = out, by, Lock()
        self._withheld = list_withheld(out)
        release_decided(out)

    def told(self) -> list[dict[str, Any]]:
        """Every file: the undecided first, of them those that name someone, then those with any find."""
        decisions = load_decisions(self._out / PRIVATE / DECISIONS)
        layouts = load_layouts(self._out / PRIVATE / LAYOUTS)
        rows = []
        for uid, waiting in self._withheld.items():
            decided, note = decisions.get(uid), waiting.note
            rows.append(
                {
                    "uid": uid, "layout": note.layout, "has_regions": note.has_regions, "frames": note.frames,
                    "found": [asdict(one) for one in note.found],
                    "verdict": None if decided is None else decided.verdict,
                    "by": None if decided is None else decided.by,
                    "boxes": [*(() if decided is None else decided.boxes), *layouts.of(note.layout)],
                }
            )  # fmt: skip
        return sorted(rows, key=_order)

    def decide(self, uid: str, said: Said) -> Decision:
        """Writes a decision down and lets out or takes back what it is about. Raises KeyError for another file."""
        with self._lock:
            waiting = self._withheld[uid]
            decision = decide(uid, said.verdict, tuple(said.boxes), self._by)
            if said.everywhere:
                self._remember(waiting.note.layout, decision.boxes)
            write_down(decision, self._out / PRIVATE / DECISIONS)
            if said.everywhere:
                release_decided(self._out)
            elif decision.verdict is Verdict.CLEARED:
                release(self._out, waiting, decision)
            else:
                take_back(self._out, waiting)
            return decision

    def picture(self, uid: str, frame: int | None) -> bytes:
        """A frame as JPEG, or the brightest of every pixel. Raises KeyError, IndexError."""
        frames = _frames(self._withheld[uid].path)
        return encode_jpeg(Frame(frames.max(axis=0) if frame is None else frames[frame]), _QUALITY)

    def _remember(self, layout: str, boxes: tuple[Box, ...]) -> None:
        layouts = load_layouts(self._out / PRIVATE / LAYOUTS)
        for box in boxes:
            layouts = layouts.with_box(layout, box)
        save_layouts(layouts, self._out / PRIVATE / LAYOUTS)


def _order(row: dict[str, Any]) -> tuple[Any, ...]:
    names = any(one["is_named"] for one in row["found"])
    return row["verdict"] is not None, not names, not row["found"], row["layout"], row["uid"]


def create_clearing(out: Path, by: str) -> FastAPI:
    """The page and its routes. Raises FileNotFoundError where OUT holds no such run, ValueError without a name."""
    desk = Desk(out, by)
    app = FastAPI(title="hipsono: clearing", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])

    @app.get("/", response_class=FileResponse)
    def page() -> FileResponse:
        """The page."""
        return FileResponse(_PAGE, media_type="text/html")

    @app.get("/files")
    def files() -> list[dict[str, Any]]:
        """What there is to decide."""
        return desk.told()

    @app.get("/files/{uid}.jpg")
    def picture(uid: str, frame: Annotated[int | None, Query(ge=0)] = None) -> Response:
        """A frame, or the brightest of all."""
        try:
            return Response(desk.picture(uid, frame), media_type="image/jpeg", headers={"Cache-Control": "no-store"})
        except (KeyError, IndexError) as error:
            raise HTTPException(404, f"there is no frame {frame} of {uid}") from error

    @app.post("/files/{uid}")
    def verdict(uid: str, said: Said) -> dict[str, Any]:
        """A decision."""
        try:
            made = desk.decide(uid, said)
        except KeyError as error:
            raise HTTPException(404, f"there is no file {uid}") from error
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        return {"verdict": made.verdict, "by": made.by, "at": made.at}

    return app


def run_clearing(out: Path, by: str, port: int, say: Callable[[str], None]) -> None:
    """Serves the page until stopped."""
    app = create_clearing(out, by)
    say(f"http://{HOST}:{port}/  shows what is withheld; stop with Ctrl-C, decisions are kept as they are made")
    uvicorn.run(app, host=HOST, port=port, access_log=False, log_level="warning")


def _frames(path: Path) -> NDArray[np.uint8]:
    return _decoded(path, path.stat().st_mtime_ns)


@lru_cache(_OPEN_FILES)
def _decoded(path: Path, _changed_ns: int) -> NDArray[np.uint8]:
    dataset = pydicom.dcmread(path)
    shape = (dataset.Rows, dataset.Columns) + ((3,) if dataset.SamplesPerPixel == 3 else ())
    return np.asarray(dataset.pixel_array, dtype=np.uint8).reshape(-1, *shape)
