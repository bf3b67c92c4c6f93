"""Those who ask: many clients at once, streams at a steady rate, and a flood."""

import asyncio
import itertools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from serving.bench.pictures import Pictures
from serving.bench.servers import Served

_LAST_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Crowd:
    """What many clients got together: each request's ms, how many were refused, and how long it took."""

    taken_ms: tuple[float, ...]
    refused: int
    seconds: float

    @property
    def per_second(self) -> float:
        return len(self.taken_ms) / self.seconds


def crowd(server: Served, pictures: Pictures, clients: int, seconds: float) -> Crowd:
    """So many clients post one picture after another for so long, each at least one.

    Raises OSError where a client is hung up on or left without an answer, RuntimeError for an answer that is neither
    a reading nor a 503.
    """
    until = time.perf_counter() + seconds
    taken: list[float] = []
    refused: list[float] = []

    def work(first: int) -> None:
        client = server.client()
        for k in itertools.count(first):
            started = time.perf_counter()
            status = client.post(pictures.jpeg(k))
            if status == 200:
                taken.append(1e3 * (time.perf_counter() - started))
            elif status == 503:
                refused.append(started)
                time.sleep(0.01)
            else:
                raise RuntimeError(f"{client.name} answered a picture with status {status}")
            if time.perf_counter() >= until:
                break
        client.close()

    began = time.perf_counter()
    together(work, clients)
    return Crowd(tuple(taken), len(refused), time.perf_counter() - began)


def together(work: Callable[[int], None], count: int) -> None:
    """`work(0)` to `work(count - 1)` in threads of their own, until all have ended. Raises what the first raised."""
    with ThreadPoolExecutor(count) as pool:
        for _ in pool.map(work, range(count)):
            pass


def rate(work: Callable[[int], object], callers: int, seconds: float) -> float:
    """How often a second so many callers together do a piece of work, each counting its own from 0, at least once."""
    counts = [0] * callers
    began = time.perf_counter()

    def call(mine: int) -> None:
        while counts[mine] == 0 or time.perf_counter() - began < seconds:
            work(counts[mine])
            counts[mine] += 1

    together(call, callers)
    return sum(counts) / (time.perf_counter() - began)


@dataclass(frozen=True, slots=True)
class Streamed:
    """A stream's frames sent, how old each answered one was when its answer arrived here, ms, and those told as skipped
    for newer ones."""

    sent: int
    ages_ms: tuple[float, ...]
    seconds: float
    skipped: int = 0

    @property
    def answered_share(self) -> float:
        return len(self.ages_ms) / self.sent

    @property
    def per_second(self) -> float:
        return len(self.ages_ms) / self.seconds


def stream(
    server: Served, pictures: Pictures, rate: float, seconds: float, *, streams: int = 1
) -> tuple[Streamed, ...]:
    """So many streams, each sending frames at a steady rate for so long; the last is never skipped and waited for.

    Raises OSError where a stream is hung up on, left without its last answer or cannot be opened, RuntimeError where a
    frame is refused.
    """

    async def every() -> tuple[Streamed, ...]:
        one = (_stream(server.port, pictures, (rate, seconds), shift) for shift in range(streams))
        return tuple(await asyncio.gather(*one))

    try:
        return asyncio.run(every())
    except WebSocketException as error:
        raise ConnectionError(f"{server.recipe.name} closed a stream: {error}") from error


async def _stream(port: int, pictures: Pictures, pace: tuple[float, float], shift: int) -> Streamed:
    rate, seconds = pace
    count = round(rate * seconds)
    sent_at: list[float] = []
    heard: list[_Answer] = []
    async with connect(f"ws://127.0.0.1:{port}/v1/stream", max_size=None, compression=None) as socket:
        hearing = asyncio.create_task(_hear(socket, sent_at, heard, count - 1))
        began = time.perf_counter() + shift / rate / 4
        try:
            for k in range(count):
                await asyncio.sleep(max(0.0, began + k / rate - time.perf_counter()))
                sent_at.append(time.perf_counter())
                await socket.send(pictures.jpeg(k))
            await asyncio.wait_for(hearing, _LAST_S)
        finally:
            hearing.cancel()
            with suppress(asyncio.CancelledError):
                await hearing
    return Streamed(len(sent_at), tuple(one.age_ms for one in heard), seconds, sum(one.skipped for one in heard))


@dataclass(frozen=True, slots=True)
class _Answer:
    """How old the frame was when its answer came, and how many were skipped for it."""

    age_ms: float
    skipped: int


async def _hear(socket: ClientConnection, sent_at: list[float], heard: list[_Answer], last: int) -> None:
    """Every answer up to that of the frame numbered `last`."""
    async for message in socket:
        told = orjson.loads(message)
        if "status" in told:
            raise RuntimeError(f"a stream's frame was refused with status {told['status']}: {told['detail']}")
        heard.append(_Answer(1e3 * (time.perf_counter() - sent_at[told["seq"]]), told["dropped"]))
        if told["seq"] == last:
            return
    raise ConnectionError("a stream was closed before its last answer")
