"""The page on which a person clears withheld pictures; it listens on this machine only."""

from collections.abc import Callable
from dataclasses import asdict, replace
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
from serving.deidentify.decisions import Decision, Verdict, decide, write_down
from serving.deidentify.layouts import load_layouts, save_layouts
from serving.deidentify.pixels import Box, digest_of
from serving.deidentify.release import (
    DECISIONS,
    LAYOUTS,
    PARTS,
    PRIVATE,
    Standing,
    Waiting,
    list_withheld,
    release,
    release_decided,
    standings,
    take_back,
)
from serving.overlay import encode_jpeg

HOST: Final = "127.0.0.1"
_PAGE: Final = Path(__file__).parent / "clearing.html"
_OPEN_FILES: Final = 4
_QUALITY: Final = 95
"""Of the pictures as JPEG: small letters are to be seen."""


class Said(BaseModel):
    """What a person says of the picture `seen`, and the boxes drawn now: what was blanked before stays so.

    `everywhere` blanks these boxes in every file of its layout, now and later.
    """

    verdict: Verdict
    seen: str
    boxes: list[Box] = Field(default=[], max_length=100)
    everywhere: bool = False


class Desk:
    """The withheld files of a run, and the decisions of one person on them."""

    def __init__(self, out: Path, by: str) -> None:
        if not by.strip():
            raise ValueError("--by needs the name of who decides")
        self._out, self._by, self._lock = out, by, Lock()
        self._listed: tuple[int, dict[str, Waiting]] = (0, {})
        release_decided(out)

    def told(self) -> list[dict[str, Any]]:
        """Every file: the undecided first, of them those that name someone, then those with any find."""
        return sorted(map(_row, standings(self._out, self._withheld()).values()), key=_order)

    def to_look_at_again(self) -> int:
        """How many files have a decision that is not known to be on the picture as it is now."""
        return sum(row["before"] is not None for row in self.told())

    def decide(self, uid: str, said: Said) -> Decision:
        """Writes a decision down and lets out or takes back what it is about.

        Raises KeyError for another file, ValueError where its picture is another by now than was seen.
        """
        with self._lock:
            standing = standings(self._out, self._withheld())[uid]
            note = standing.waiting.note
            if said.seen != note.picture:
                raise ValueError("its picture is another by now: look at it again")
            decision = decide(uid, said.seen, said.verdict, (*standing.boxes, *said.boxes), self._by)
            if said.everywhere:
                self._remember(note.layout, said.boxes)
            write_down(decision, self._out / PRIVATE / DECISIONS)
            if said.everywhere:
                release_decided(self._out)
            elif decision.verdict is Verdict.CLEARED:
                release(self._out, replace(standing, last=decision))
            else:
                take_back(self._out, standing.waiting)
            return decision

    def picture(self, uid: str, seen: str, frame: int | None) -> bytes:
        """A frame of a file's picture as JPEG, or the brightest of every pixel.

        Raises KeyError where its picture is another, IndexError, OSError.
        """
        frames = _frames(self._withheld()[uid].path, seen)
        return encode_jpeg(Frame(frames.max(axis=0) if frame is None else frames[frame]), _QUALITY)

    def _withheld(self) -> dict[str, Waiting]:
        """The files, listed anew where `hipsono grade --resume` has been at work since."""
        changed_ns = (self._out / PRIVATE / PARTS).stat().st_mtime_ns
        if self._listed[0] != changed_ns:
            self._listed = (changed_ns, list_withheld(self._out))
        return self._listed[1]

    def _remember(self, layout: str, boxes: list[Box]) -> None:
        layouts = load_layouts(self._out / PRIVATE / LAYOUTS)
        for box in boxes:
            layouts = layouts.with_box(layout, box)
        save_layouts(layouts, self._out / PRIVATE / LAYOUTS)


def _row(standing: Standing) -> dict[str, Any]:
    """A file as the page shows it; `before` is who decided on another picture of it."""
    note, decision, last = standing.waiting.note, standing.decision, standing.last
    return {
        "uid": note.uid, "layout": note.layout, "has_regions": note.has_regions, "frames": note.frames,
        "found": [asdict(one) for one in note.found], "seen": note.picture, "boxes": standing.boxes,
        "verdict": None if decision is None else decision.verdict, "by": None if decision is None else decision.by,
        "before": last.by if last is not None and decision is None else None,
    }  # fmt: skip


def _order(row: dict[str, Any]) -> tuple[Any, ...]:
    names = any(one["is_named"] for one in row["found"])
    return row["verdict"] is not None, not names, not row["found"], row["layout"], row["uid"]


def create_clearing(desk: Desk) -> FastAPI:
    """The page and its routes."""
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

    @app.get("/files/{uid}/{seen}.jpg")
    def picture(uid: str, seen: str, frame: Annotated[int | None, Query(ge=0)] = None) -> Response:
        """A frame, or the brightest of all."""
        try:
            shown = desk.picture(uid, seen, frame)
        except (KeyError, IndexError, OSError) as error:
            raise HTTPException(404, f"there is no frame {frame} of picture {seen} of {uid}") from error
        return Response(shown, media_type="image/jpeg", headers={"Cache-Control": "no-store"})

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
    """Serves the page until stopped.

    Raises FileNotFoundError where OUT holds no such run, ValueError without a name.
    """
    desk = Desk(out, by)
    if again := desk.to_look_at_again():
        say(f"{again} files wait again and are not out: no decision is known to be on their pictures as they are now")
    say(f"http://{HOST}:{port}/  shows what is withheld; stop with Ctrl-C, decisions are kept as they are made")
    uvicorn.run(create_clearing(desk), host=HOST, port=port, access_log=False, log_level="warning")


def _frames(path: Path, seen: str) -> NDArray[np.uint8]:
    return _decoded(path, seen, path.stat().st_mtime_ns)


@lru_cache(_OPEN_FILES)
def _decoded(path: Path, seen: str, _changed_ns: int) -> NDArray[np.uint8]:
    dataset = pydicom.dcmread(path)
    if digest_of(dataset) != seen:
        raise KeyError(seen)
    shape = (dataset.Rows, dataset.Columns) + ((3,) if dataset.SamplesPerPixel == 3 else ())
    return np.asarray(dataset.pixel_array, dtype=np.uint8).reshape(-1, *shape)
