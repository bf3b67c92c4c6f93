"""Those who ask: many clients at once, streams at a steady rate, and a flood."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Thread

import orjson
from websockets.asyncio.client import ClientConnection, connect

from serving.bench.pictures import Pictures
from serving.bench.servers import Served

_SETTLE_S = 1.0


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
    """So many clients post one picture after another for so long."""
    until = time.perf_counter() + seconds
    taken: list[float] = []
    refused: list[int] = []

    def work(first: int) -> None:
        client, k = server.client(), first
        while (started := time.perf_counter()) < until:
            status = client.post(pictures.jpeg(k))
            if status == 200:
                taken.append(1e3 * (time.perf_counter() - started))
            else:
                refused.append(status)
                time.sleep(0.01)
            k += 1
        client.close()

    began = time.perf_counter()
    together(work, clients)
    return Crowd(tuple(taken), len(refused), time.perf_counter() - began)


def together(work: Callable[[int], None], count: int) -> None:
    """`work(0)` to `work(count - 1)` in threads of their own, until all have ended."""
    threads = [Thread(target=work, args=(k,)) for k in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def rate(work: Callable[[int], object], callers: int, seconds: float) -> float:
    """How often a second so many callers together do a piece of work, each counting its own from 0."""
    counts = [0] * callers
    until = time.perf_counter() + seconds

    def call(mine: int) -> None:
        while time.perf_counter() < until:
            work(counts[mine])
            counts[mine] += 1

    together(call, callers)
    return sum(counts) / seconds


@dataclass(frozen=True, slots=True)
class Streamed:
    """A stream's frames sent, those answered, and how old each answered one was when its answer arrived here, ms."""

    sent: int
    ages_ms: tuple[float, ...]
    seconds: float

    @property
    def answered_share(self) -> float:
        return len(self.ages_ms) / self.sent

    @property
    def per_second(self) -> float:
        return len(self.ages_ms) / self.seconds


def stream(
    server: Served, pictures: Pictures, rate: float, seconds: float, *, streams: int = 1
) -> tuple[Streamed, ...]:
    """So many streams, each sending frames at a steady rate for so long."""

    async def every() -> tuple[Streamed, ...]:
        one = (_stream(server.port, pictures, (rate, seconds), shift) for shift in range(streams))
        return tuple(await asyncio.gather(*one))

    return asyncio.run(every())


async def _stream(port: int, pictures: Pictures, pace: tuple[float, float], shift: int) -> Streamed:
    rate, seconds = pace
    sent_at: list[float] = []
    ages: list[float] = []
    async with connect(f"ws://127.0.0.1:{port}/v1/stream", max_size=None, compression=None) as socket:
        hearing = asyncio.create_task(_hear(socket, sent_at, ages))
        began = time.perf_counter() + shift / rate / 4
        for k in range(round(rate * seconds)):
            await asyncio.sleep(max(0.0, began + k / rate - time.perf_counter()))
            sent_at.append(time.perf_counter())
            await socket.send(pictures.jpeg(k))
        await asyncio.sleep(_SETTLE_S)
        hearing.cancel()
    return Streamed(len(sent_at), tuple(ages), seconds)


async def _hear(socket: ClientConnection, sent_at: list[float], ages: list[float]) -> None:
    async for message in socket:
        told = orjson.loads(message)
        ages.append(1e3 * (time.perf_counter() - sent_at[told["seq"]]))
