"""What `hipsono watch` reads, as it comes: shown in the viewer, told line by line."""

import asyncio
import logging
import os
import sys
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from threading import Thread
from typing import Final

import orjson
from anyio import to_thread
from fastapi import APIRouter, WebSocket

from datasets.files import FrameOptions, frame_of
from model.frame import Frame
from model.reading import Reader
from serving.address import check_address
from serving.app import create_app
from serving.bodies import encode_reading
from serving.capture import CLOSING_S, SILENT_S, Capture, Grab, Source
from serving.cines import RunningCine
from serving.overlay import encode_jpeg
from serving.problems import problem_body
from serving.server import run_until_stopped, server_of
from serving.settings import Settings
from serving.sockets import is_seated, until_one_ends

_REASON_BYTES: Final = 123
"""What a WebSocket's close frame has room for."""


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """A frame's reading as JSON, and the frame."""

    body: bytes
    frame: Frame


@dataclass(frozen=True, slots=True)
class Notice:
    """What is told in place of a reading, as JSON, and its words."""

    body: bytes
    detail: str


class Showing:
    """The newest answer or notice, for every viewer that looks."""

    def __init__(self) -> None:
        self._newest: Answer | Notice | None = None
        self._end: Notice | None = None
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._drawn: tuple[Answer, asyncio.Future[bytes]] | None = None

    @property
    def lookers(self) -> int:
        """How many look."""
        return len(self._waiting)

    def put(self, shown: Answer | Notice) -> None:
        """From any thread."""
        self._newest = shown
        self._wake()

    def end(self, notice: Notice) -> None:
        """Nothing comes any more. From any thread."""
        self._end = notice
        self._wake()

    async def picture(self, answer: Answer) -> bytes:
        """The answer's frame as JPEG, encoded once for all who look."""
        if self._drawn is None or self._drawn[0] is not answer:
            self._drawn = answer, asyncio.ensure_future(to_thread.run_sync(encode_jpeg, answer.frame))
        return await asyncio.shield(self._drawn[1])

    def _wake(self) -> None:
        for loop, event in tuple(self._waiting):
            with suppress(RuntimeError):  # the server has stopped in between
                loop.call_soon_threadsafe(event.set)

    async def shown(self) -> AsyncGenerator[Answer | Notice, None]:
        """What is newest, each time it changes, as fast as the viewer takes it; the end's notice comes last."""
        seen: Answer | Notice | None = None
        event = asyncio.Event()
        mine = (asyncio.get_running_loop(), event)
        self._waiting.add(mine)
        try:
            while True:
                event.clear()
                if (newest := self._newest) is not None and newest is not seen:
                    seen = newest
                    yield newest
                elif self._end is not None:
                    yield self._end
                    return
                else:
                    await event.wait()
        finally:
            self._waiting.discard(mine)


def watch(source: Source, settings: Settings, known: FrameOptions, *, lines: bool) -> None:
    """Reads a source live, for the viewer at /?watch, until stopped. Raises UnreadableFile where it cannot be opened,
    OSError where the server cannot listen.

    `lines` prints each Reading to stdout, and ends with the source.
    """
    check_address(settings.host, settings.port)
    showing = Showing()
    app = create_app(settings, watch_router(showing, settings.max_viewers))
    capture, server = Capture(source), server_of(app, settings)

    def work() -> None:
        told = f"{source.name} has ended"
        try:
            for shown in answers(capture, app.state.engine.reader, known, source.name):
                showing.put(shown)
                if lines and isinstance(shown, Answer):
                    sys.stdout.write(shown.body.decode() + "\n")
                    sys.stdout.flush()
        except BrokenPipeError:
            _let_go_of_stdout()
            told = f"nobody takes the lines of {source.name} any more"
        except Exception as error:
            logging.getLogger("hipsono").exception("watching %s failed", source.name)
            told = f"{source.name} is no longer read: {type(error).__name__}, a fault of the server"
        showing.end(_notice("ended", told))
        sys.stderr.write(f"hipsono: {told}\n")
        if lines:
            server.should_exit = True

    where = f"http://{settings.host}:{settings.port}/?watch"
    sys.stderr.write(f"hipsono watches {source.name} ({capture.given}): {where}   (stop with Ctrl-C)\n")
    working = Thread(target=work, daemon=True)
    working.start()
    run_until_stopped(server)
    capture.close()
    working.join(CLOSING_S)


def answers(capture: Capture, reader: Reader, known: FrameOptions, source: str) -> Iterator[Answer | Notice]:
    """The reading of each newest picture, steadied by those before it, or why there is none: one bad picture, or a
    source that is silent for a while, ends nothing.
    """
    log, cine, failing = logging.getLogger("hipsono"), RunningCine(reader), False
    for grab in capture.grabs():
        if grab is None:
            silent = f"no picture from {source} for {SILENT_S:g} s: is it connected, is it on?"
            log.warning(silent)
            yield _notice("silent", silent)
            continue
        try:
            frame = known.apply(frame_of(grab.picture, source, grab.seq))
            reading = cine.read(frame, grab.seq, grab.at)
        except Exception as error:
            if not failing:  # a grabber that fails for hours fills no disk
                log.exception("picture %d of %s failed; what fails after it is told to viewers only", grab.seq, source)
            failing = True
            told = f"{type(error).__name__} while reading picture {grab.seq}: {error}"
            yield Notice(problem_body(500, told, **_counted(grab)), told)
            continue
        failing = False
        yield Answer(encode_reading(reading, **_counted(grab), cine=cine.body()), frame)


def watch_router(showing: Showing, most: int) -> APIRouter:
    """WS /v1/watch: for each answer a text message with the Reading, then a binary one with the frame as JPEG; for a
    notice a text message alone. `most` may look at once.
    """
    router, seats = APIRouter(), asyncio.Semaphore(most)

    @router.websocket("/v1/watch")
    async def look(socket: WebSocket) -> None:
        if await is_seated(socket, seats, f"{most} viewers look already: close one or raise HIPSONO_MAX_VIEWERS"):
            async with seats:
                await until_one_ends(_show(socket, showing), _left(socket))

    return router


async def _show(socket: WebSocket, showing: Showing) -> None:
    said = ""
    async with aclosing(showing.shown()) as every:
        async for shown in every:
            await socket.send_text(shown.body.decode())
            if isinstance(shown, Answer):
                await socket.send_bytes(await showing.picture(shown))
            else:
                said = shown.detail
    await socket.close(1000, said.encode()[-_REASON_BYTES:].decode(errors="ignore"))


async def _left(socket: WebSocket) -> None:
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


def _let_go_of_stdout() -> None:
    """What is still in its buffer goes nowhere, so that the interpreter's last flush does not fail either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _notice(state: str, detail: str) -> Notice:
    return Notice(orjson.dumps({"watch": state, "detail": detail}), detail)


def _counted(grab: Grab) -> dict[str, float]:
    age_ms = round(1e3 * (time.perf_counter() - grab.at), 2)
    return {"seq": grab.seq, "dropped": grab.dropped, "age_ms": age_ms}
