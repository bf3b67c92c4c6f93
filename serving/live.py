"""WS /v1/stream: binary messages are encoded frames, text messages are settings; the newest frame wins."""

import asyncio
import time
from dataclasses import dataclass

import orjson
from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from datasets.files import FrameOptions
from serving.bodies import encode_reading
from serving.engine import Engine
from serving.intake import Upload, decode, parse_options
from serving.problems import Problem, problem_body

_KNOWN = {"spacing_mm", "laterality", "age_years", "smoothing"}


@dataclass(slots=True)
class Waiting:
    """One connection's newest unanswered frame, and how many older ones it pushed aside."""

    options: FrameOptions = FrameOptions()
    data: bytes | None = None
    seq: int = -1
    arrived: float = 0.0
    dropped: int = 0

    def put(self, data: bytes) -> None:
        """The newest frame takes the place of one that still waits."""
        self.dropped += self.data is not None
        self.data, self.seq, self.arrived = data, self.seq + 1, time.perf_counter()


@dataclass(frozen=True, slots=True)
class Taken:
    """A frame on its way to the engine."""

    upload: Upload
    seq: int
    arrived: float
    dropped: int


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
        if waiting.data is None:
            continue
        taken = Taken(Upload(waiting.data, waiting.options), waiting.seq, waiting.arrived, waiting.dropped)
        waiting.data, waiting.dropped = None, 0
        try:
            answer = await engine.run(lambda taken=taken: _read(engine, taken))  # type: ignore[misc]
        except Problem as problem:
            told = {"seq": taken.seq, "dropped": taken.dropped}
            answer = orjson.dumps(orjson.loads(problem_body(problem.status, problem.detail)) | told)
        await socket.send_text(answer.decode())
        if waiting.data is not None:
            news.set()


def _read(engine: Engine, taken: Taken) -> bytes:
    reading = engine.reader.read(decode(taken.upload))
    age_ms = round(1e3 * (time.perf_counter() - taken.arrived), 2)
    return encode_reading(reading, seq=taken.seq, dropped=taken.dropped, age_ms=age_ms)
