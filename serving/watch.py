"""A frame grabber, a camera, a network stream or a video, read as it comes: shown in the viewer, told line by line.

A thread of its own takes every picture off the source, so that none waits in a driver's or a socket's queue; the newest
is read, the others are counted.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Thread
from typing import Final

import cv2
import numpy as np
import uvicorn
from anyio import to_thread
from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from numpy.typing import NDArray

from datasets.files import FrameOptions, UnreadableFile, frame_of
from model.frame import Frame
from model.reading import Reader
from serving.app import create_app
from serving.bodies import cine_body, encode_reading
from serving.cines import RunningCine
from serving.overlay import encode_jpeg
from serving.settings import Settings

_OPEN_REMEDY: Final = (
    "check that it is connected and free, or name another: a number, a device file, an address or a file"
)


@dataclass(frozen=True, slots=True, eq=False)
class Grab:
    """A picture as OpenCV gives it (BGR or grey), its number, when it came, and how many it pushed aside."""

    picture: NDArray[np.uint8]
    seq: int
    at: float
    dropped: int


class Capture:
    """An opened source whose newest picture waits here. Raises UnreadableFile where it cannot be opened."""

    def __init__(self, source: str) -> None:
        self._video = cv2.VideoCapture(int(source) if source.isdigit() else source)
        if not self._video.isOpened():
            raise UnreadableFile(source, "no video source can be opened there", _OPEN_REMEDY)
        is_file = Path(source).is_file()
        rate = self._video.get(cv2.CAP_PROP_FPS)
        self._pace_s = 1 / rate if is_file and 0 < rate <= 240 else 0.0
        self._news = Condition()
        self._newest: Grab | None = None
        self._ended = False
        Thread(target=self._take, daemon=True).start()

    def grabs(self) -> Iterator[Grab]:
        """The newest picture each time one is asked for, until the source ends."""
        while True:
            with self._news:
                self._news.wait_for(lambda: self._newest is not None or self._ended)
                grab, self._newest = self._newest, None
            if grab is None:
                return
            yield grab

    def _take(self) -> None:
        began, seq = time.perf_counter(), 0
        while (taken := self._video.read())[0]:
            with self._news:
                dropped = 0 if self._newest is None else self._newest.dropped + 1
                self._newest = Grab(np.asarray(taken[1], np.uint8), seq, time.perf_counter(), dropped)
                self._news.notify()
            seq += 1
            time.sleep(max(0.0, began + seq * self._pace_s - time.perf_counter()) if self._pace_s else 0)
        with self._news:
            self._ended = True
            self._news.notify()
        self._video.release()


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """A frame's reading as JSON, and the frame."""

    body: bytes
    frame: Frame


class Showing:
    """The newest answer, for every viewer that looks."""

    def __init__(self) -> None:
        self._newest: Answer | None = None
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def put(self, answer: Answer) -> None:
        """From any thread."""
        self._newest = answer
        for loop, event in tuple(self._waiting):
            loop.call_soon_threadsafe(event.set)

    async def answers(self) -> AsyncIterator[Answer]:
        """Each newest answer, as fast as the viewer takes them."""
        event = asyncio.Event()
        mine = (asyncio.get_running_loop(), event)
        self._waiting.add(mine)
        try:
            while True:
                await event.wait()
                event.clear()
                if self._newest is not None:
                    yield self._newest
        finally:
            self._waiting.discard(mine)


def watch(source: str, settings: Settings, known: FrameOptions, *, lines: bool) -> None:
    """Reads a source live, for the viewer at /?watch, until stopped. Raises UnreadableFile where it cannot be opened.

    `lines` prints each Reading to stdout, and ends with the source.
    """
    showing = Showing()
    app = create_app(settings, watch_router(showing))
    capture = Capture(source)
    server = uvicorn.Server(uvicorn.Config(app, settings.host, settings.port, access_log=False, log_level="warning"))

    def work() -> None:
        for answer in answers(capture, app.state.engine.reader, known, source):
            showing.put(answer)
            if lines:
                sys.stdout.write(answer.body.decode() + "\n")
                sys.stdout.flush()
        sys.stderr.write(f"hipsono: {source} has ended\n")
        server.should_exit = lines

    sys.stderr.write(f"hipsono watches {source}: http://{settings.host}:{settings.port}/?watch   (stop with Ctrl-C)\n")
    Thread(target=work, daemon=True).start()
    server.run()


def answers(capture: Capture, reader: Reader, known: FrameOptions, source: str) -> Iterator[Answer]:
    """The reading of each newest picture, steadied by those before it."""
    cine = RunningCine(reader)
    for grab in capture.grabs():
        frame = known.apply(frame_of(grab.picture, source, grab.seq))
        reading = cine.read(frame, grab.seq, grab.at)
        age_ms = round(1e3 * (time.perf_counter() - grab.at), 2)
        told = {"seq": grab.seq, "dropped": grab.dropped, "age_ms": age_ms, "cine": cine_body(cine.grade)}
        yield Answer(encode_reading(reading, **told), frame)


def watch_router(showing: Showing) -> APIRouter:
    """WS /v1/watch: for each answer a text message with the Reading, then a binary one with the frame as JPEG."""
    router = APIRouter()

    @router.websocket("/v1/watch")
    async def look(socket: WebSocket) -> None:
        await socket.accept()
        try:
            async for answer in showing.answers():
                await socket.send_text(answer.body.decode())
                await socket.send_bytes(await to_thread.run_sync(encode_jpeg, answer.frame))
        except WebSocketDisconnect:
            return

    return router
