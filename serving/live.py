"""WS /v1/stream: binary messages are encoded frames, text messages are settings; the newest frame wins."""

import asyncio
import time
from dataclasses import dataclass, field
from functools import partial

import orjson
from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from datasets.files import FrameOptions
from serving.bodies import encode_reading
from serving.engine import Engine
from serving.intake import Upload, decode, parse_options
from serving.problems import Problem, problem_body

_KNOWN = {"spacing_mm", "laterality", "age_years", "smoothing"}


@dataclass(frozen=True, slots=True)
class Arrived:
    """A frame with the settings that held when it came, and how many older ones it pushed aside."""

    upload: Upload
    seq: int
    at: float
    dropped: int


@dataclass(slots=True)
class Waiting:
    """One connection's newest unanswered frame, and the settings for the next."""

    options: FrameOptions = field(default_factory=FrameOptions)
    newest: Arrived | None = None
    count: int = 0

    def put(self, data: bytes) -> None:
        """The newest frame takes the place of one that still waits."""
        dropped = 0 if self.newest is None else self.newest.dropped + 1
        self.newest = Arrived(Upload(data, self.options), self.count, time.perf_counter(), dropped)
        self.count += 1

    def take(self) -> Arrived | None:
        """The waiting frame, which then waits no longer."""
        taken, self.newest = self.newest, None
        return taken


def live_router(engine: Engine) -> APIRouter:
    """The stream's route."""
    router = APIRouter()

    @router.websocket("/v1/stream")
    async def stream(socket: WebSocket) -> None:
        await socket.accept()
        waiting, news = Waiting(), asyncio.Event()
        answering = asyncio.create_task(_answer(socket, engine, waiting, news))
        try:
            await _listen(socket, waiting, news)
        finally:
            answering.cancel()

    return router


async def _listen(socket: WebSocket, waiting: Waiting, news: asyncio.Event) -> None:
    while True:
        try:
            message = await socket.receive()
        except WebSocketDisconnect:
            return
        if message["type"] == "websocket.disconnect":
            return
        if message.get("bytes") is not None:
            waiting.put(message["bytes"])
            news.set()
        elif message.get("text") is not None:
            try:
                waiting.options = parse_settings(message["text"])
                await socket.send_text('{"settings": "ok"}')
            except Problem as problem:
                await socket.send_text(problem_body(problem.status, problem.detail).decode())


def parse_settings(text: str) -> FrameOptions:
    """A connection's settings from JSON. Raises Problem 422 for what is unknown or impossible."""
    try:
        raw = orjson.loads(text)
    except ValueError as error:
        raise Problem(422, f"settings are a JSON object: {error}") from error
    if not isinstance(raw, dict) or set(raw) - _KNOWN:
        raise Problem(422, f"settings are a JSON object with any of {sorted(_KNOWN)}, got {text[:200]}")
    if raw.get("smoothing") not in (None, "none"):
        raise Problem(422, f"smoothing is 'none' in this version, got {raw['smoothing']!r}")
    spacing, age = raw.get("spacing_mm"), raw.get("age_years")
    if isinstance(spacing, list):
        spacing = ",".join(str(v) for v in spacing)
    if not (spacing is None or isinstance(spacing, str)) or not (age is None or isinstance(age, int | float)):
        raise Problem(422, "spacing_mm is [row, column] in mm per pixel and age_years a number")
    return parse_options(spacing, raw.get("laterality"), age)


async def _answer(socket: WebSocket, engine: Engine, waiting: Waiting, news: asyncio.Event) -> None:
    while True:
        await news.wait()
        news.clear()
        while (taken := waiting.take()) is not None:
            await socket.send_text((await _answer_to(engine, taken)).decode())


async def _answer_to(engine: Engine, taken: Arrived) -> bytes:
    """A reading, or the problem with this frame: one bad frame never ends a stream."""
    try:
        return await engine.run(partial(_read, engine, taken))
    except Problem as problem:
        return _refusal(problem, taken)
    except Exception as error:
        return _refusal(Problem(500, f"{type(error).__name__} while reading this frame: a fault of the server"), taken)


def _refusal(problem: Problem, taken: Arrived) -> bytes:
    body = orjson.loads(problem_body(problem.status, problem.detail))
    return orjson.dumps(body | {"seq": taken.seq, "dropped": taken.dropped, "age_ms": _age_ms(taken)})


def _read(engine: Engine, taken: Arrived) -> bytes:
    reading = engine.reader.read(decode(taken.upload))
    return encode_reading(reading, seq=taken.seq, dropped=taken.dropped, age_ms=_age_ms(taken))


def _age_ms(taken: Arrived) -> float:
    return round(1e3 * (time.perf_counter() - taken.at), 2)
