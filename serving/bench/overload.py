"""Ten times what the server can do, by requests and by streams: what it takes on is in time, the rest is told so."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from serving.bench.clients import Crowd, Streamed, crowd, stream
from serving.bench.figures import Figure, at_most
from serving.bench.pictures import Pictures
from serving.bench.servers import Served

_TIMES = 10
_PACE = 30
_GROWN_MB = 50


@dataclass(frozen=True, slots=True)
class Unloaded:
    """The server without the flood: `workers` frames at once, the most frames a second that its network can do, and
    how long a request took and how old a stream's answers were, ms."""

    workers: int
    most: float
    taken_ms: Sequence[float]
    ages_ms: Sequence[float]


def overload(server: Served, shown: Pictures, seconds: float, calm: Unloaded) -> list[Figure]:
    """First requests, then streams, each for so long; then whether the server still answers."""
    before = server.usage().memory_mb
    found = _by_requests(server, shown, seconds, calm) + _by_streams(server, shown, seconds, calm)
    grown = at_most("overload: memory grown, MB", server.usage().memory_mb - before, _GROWN_MB)
    return [*found, grown, _answers_again(server, shown)]


def _by_requests(server: Served, shown: Pictures, seconds: float, calm: Unloaded) -> list[Figure]:
    name = f"overload by {_TIMES * calm.workers} clients"
    try:
        got = crowd(server, shown, _TIMES * calm.workers, seconds)
    except OSError:
        return [_lost(name)]
    return [
        at_most(f"{name}: accepted p99 / unloaded p99", _p99(got.taken_ms) / _p99(calm.taken_ms), 3),
        Figure(f"{name}: share told 503", round(refused_share(got), 3), "", None),
    ]


def refused_share(got: Crowd) -> float:
    """The part of all requests that was refused."""
    return got.refused / max(got.refused + len(got.taken_ms), 1)


def _by_streams(server: Served, shown: Pictures, seconds: float, calm: Unloaded) -> list[Figure]:
    count = math.ceil(_TIMES * calm.most / _PACE)
    name = f"overload by {count} streams at {_PACE}/s"
    try:
        got = stream(server, shown, _PACE, seconds, streams=count)
    except OSError:
        return [_lost(name)]
    return _of_streams(name, got, calm)


def _of_streams(name: str, got: Sequence[Streamed], calm: Unloaded) -> list[Figure]:
    ages = [age for one in got for age in one.ages_ms]
    sent, skipped = sum(one.sent for one in got), sum(one.skipped for one in got)
    untold = [one.sent - len(one.ages_ms) - one.skipped for one in got]
    return [
        at_most(f"{name}: p99 age / unloaded p99", _p99(ages) / _p99(calm.ages_ms), 3),
        at_most(f"{name}: never answered", sum(not one.ages_ms for one in got), 0),
        at_most(f"{name}: frames neither answered nor told as skipped, worst stream", max(untold), 0),
        Figure(f"{name}: share skipped", round(skipped / sent, 3), "", None),
    ]


def _p99(ms: Sequence[float]) -> float:
    return float(np.percentile(ms, 99)) if ms else math.inf


def _lost(name: str) -> Figure:
    return Figure(f"{name}: hung up on, or left without an answer", 1, "<= 0", False)


def _answers_again(server: Served, shown: Pictures) -> Figure:
    """Whether, after all that, the server says that it is ready and reads a frame."""
    name = "after the overload: ready, and a frame read"
    try:
        client = server.client()
        answered = server.ready() and client.post(shown.jpeg(0)) == 200
        client.close()
    except OSError:
        answered = False
    return Figure(name, int(answered), ">= 1", answered)
