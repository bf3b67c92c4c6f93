"""WS /v1/stream: binary messages are encoded frames, text messages are settings; the newest frame wins.

A connection has at most one frame at work, and takes its newest only when a worker is free for it: several streams and
requests share the processor in turn, and none is answered about a picture that a newer one has already replaced.
"""

import asyncio
import logging
import time
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from threading import Lock
from typing import Annotated, Final

from fastapi import APIRouter, Response, WebSocket
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from datasets.files import FrameOptions
from model.anatomy import Laterality
from model.reading import Reader
from serving.bodies import encode_reading
from serving.cines import RunningCine
from serving.engine import Engine
from serving.intake import Upload, decode, parse_options
from serving.problems import Problem, problem_body, problem_response
from serving.sockets import is_seated, until_one_ends
from serving.stages import Stopwatch

_KNOWN: Final = (
    "spacing_mm ([row, column] in mm per pixel), laterality (left, right, unknown), age_years (a number), "
    "smoothing (steady, none)"
)
_LONGEST: Final = 1000
"""Characters of a settings message: those of a hostile one would be parsed between the frames of all others."""


class Smoothing(StrEnum):
    """What the frames before tell of this one: nothing, or what model.tracking makes of them."""

    NONE = "none"
    STEADY = "steady"


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """What a connection says of its frames. Sending settings begins a new cine."""

    options: FrameOptions = field(default_factory=FrameOptions)
    smoothing: Smoothing = Smoothing.STEADY


class _Told(BaseModel):
    """The settings message; null is as good as absent."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    spacing_mm: tuple[float, float] | Annotated[str, Field(min_length=1)] | None = None
    laterality: Laterality | None = None
    age_years: float | None = None
    smoothing: Smoothing | None = None


@dataclass(frozen=True, slots=True)
class Arrived:
    """A frame with the settings that held when it came, and how many older ones it pushed aside."""

    data: bytes
    settings: StreamSettings
    seq: int
    at: float
    dropped: int

    @property
    def age_ms(self) -> float:
        return round(1e3 * (time.perf_counter() - self.at), 2)


@dataclass(slots=True)
class Waiting:
    """One connection's newest unanswered frame, and the settings for the next; `take` comes from worker threads."""

    settings: StreamSettings = field(default_factory=StreamSettings)
    newest: Arrived | None = None
    count: int = 0
    lock: Lock = field(default_factory=Lock)

    def put(self, data: bytes) -> None:
        """The newest frame takes the place of one that still waits."""
        with self.lock:
            dropped = 0 if self.newest is None else self.newest.dropped + 1
            self.newest = Arrived(data, self.settings, self.count, time.perf_counter(), dropped)
            self.count += 1

    def take(self) -> Arrived | None:
        """The waiting frame, which then waits no longer."""
        with self.lock:
            taken, self.newest = self.newest, None
        return taken


class Cines:
    """One connection's cines, one after another: a cut, a pause or new settings begin a new one."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._settings: StreamSettings | None = None
        self._cine = RunningCine(reader)

    def answer(self, frame: Arrived) -> bytes:
        """The frame's reading as JSON. Raises Problem."""
        settings = frame.settings
        if settings is not self._settings:
            number = 0 if self._settings is None else self._cine.number + 1
            self._settings = settings
            self._cine = RunningCine(self._reader, settings.smoothing is Smoothing.STEADY, number)
        watch = Stopwatch(frame.at)
        picture = decode(Upload(frame.data, settings.options))
        watch.lap("decode")
        reading = watch.timed(self._cine.read(picture, frame.seq, frame.at))
        told = self._cine.body()
        return encode_reading(reading, seq=frame.seq, dropped=frame.dropped, age_ms=frame.age_ms, cine=told)


def live_router(engine: Engine) -> APIRouter:
    """The stream's route."""
    router, most = APIRouter(), engine.settings.max_streams
    seats = asyncio.Semaphore(most)

    @router.get("/v1/stream", include_in_schema=False)
    async def upgrade() -> Response:
        problem = problem_response(
            Problem(426, "frames go over a WebSocket, ws://HOST:PORT/v1/stream: see docs/live.md")
        )
        problem.headers["Upgrade"] = "websocket"
        return problem

    @router.websocket("/v1/stream")
    async def stream(socket: WebSocket) -> None:
        if socket.query_params:
            told = f"a stream's settings are a text message, not in its address: {_KNOWN}"
            await socket.send_denial_response(problem_response(Problem(422, told)))
        elif await is_seated(socket, seats, f"{most} streams are open: close one or raise HIPSONO_MAX_STREAMS"):
            async with seats:
                waiting, news = Waiting(), asyncio.Event()
                await until_one_ends(_listen(socket, waiting, news), _answer(socket, engine, waiting, news))

    return router


async def _listen(socket: WebSocket, waiting: Waiting, news: asyncio.Event) -> None:
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        if message.get("bytes") is not None:
            waiting.put(message["bytes"])
            news.set()
        elif message.get("text") is not None:
            try:
                waiting.settings = parse_settings(message["text"])
                await socket.send_text('{"settings": "ok"}')
            except Problem as problem:
                await socket.send_text(problem_body(problem.status, problem.detail).decode())


def parse_settings(text: str) -> StreamSettings:
    """A connection's settings from JSON. Raises Problem 422 for what is unknown, of another kind or impossible."""
    if len(text) > _LONGEST:
        raise Problem(422, f"settings are a short JSON object with any of {_KNOWN}; got {len(text)} characters")
    try:
        told = _Told.model_validate_json(text)
    except ValidationError as error:
        wrong = "; ".join(": ".join((*map(str, e["loc"][:1]), e["msg"])) for e in error.errors())
        raise Problem(422, f"settings are a JSON object with any of {_KNOWN}; got {text[:200]} ({wrong})") from error
    spacing = ",".join(map(str, told.spacing_mm)) if isinstance(told.spacing_mm, tuple) else told.spacing_mm
    return StreamSettings(parse_options(spacing, told.laterality, told.age_years), told.smoothing or Smoothing.STEADY)


async def _answer(socket: WebSocket, engine: Engine, waiting: Waiting, news: asyncio.Event) -> None:
    work = partial(_answer_to_newest, waiting, Cines(engine.reader))
    while True:
        await news.wait()
        news.clear()
        while (answer := await engine.run_admitted(work)) is not None:
            await socket.send_text(answer.decode())


def _answer_to_newest(waiting: Waiting, cines: Cines) -> bytes | None:
    """A reading, or the problem with this frame: one bad frame never ends a stream. None where no frame waits."""
    frame = waiting.take()
    if frame is None:
        return None
    try:
        return cines.answer(frame)
    except Problem as problem:
        return _refusal(problem, frame)
    except Exception as error:
        logging.getLogger("hipsono").exception("frame %d of a stream failed", frame.seq)
        return _refusal(Problem(500, f"{type(error).__name__} while reading this frame: a fault of the server"), frame)


def _refusal(problem: Problem, frame: Arrived) -> bytes:
    counted = {"seq": frame.seq, "dropped": frame.dropped, "age_ms": frame.age_ms}
    return problem_body(problem.status, problem.detail, **counted)
