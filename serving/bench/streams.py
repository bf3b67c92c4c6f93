"""One stream at each rate that the bare network could follow, then four at once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from serving.bench.clients import Streamed, stream
from serving.bench.figures import Figure, Row, at_least, at_most, row, weighed
from serving.bench.pictures import Pictures
from serving.bench.servers import Served


@dataclass(frozen=True, slots=True)
class StreamsTold:
    """Rows and figures, and how old the answers of one stream at 30/s were, ms."""

    rows: tuple[Row, ...]
    figures: tuple[Figure, ...]
    ages_ms: tuple[float, ...]


def measure_streams(server: Served, shown: Pictures, seconds: float, bare: tuple[float, float]) -> StreamsTold:
    """`bare` is the floor in ms and the most frames a second that bare session.run does."""
    floor, most = bare
    rows, figures, ages = [], [], {}
    for pace in (30, 60):
        name = f"one stream at {pace}/s"
        (one,), told = _weighed(server, shown, (pace, 1, seconds), name, floor)
        rows.append(told)
        ages[pace] = one.ages_ms
        if pace <= 0.9 * most:
            p99 = float(np.percentile(one.ages_ms, 99))
            figures += [
                at_least(f"{name}: answered / sent", one.answered_share, 0.99),
                at_most(f"{name}: p99 age / floor", p99 / floor, 2),
            ]
    four, told = _weighed(server, shown, (30, 4, seconds), "four streams at 30/s", floor)
    every = sum(one.per_second for one in four)
    figures += [
        at_least("four streams: frames/s / the most bare session.run does", every / min(most, 4 * 30), 0.85),
        at_least("four streams: the least one's share", min(one.per_second for one in four) / (every / 4), 0.7),
    ]
    return StreamsTold((*rows, told), tuple(figures), ages[30])


def _weighed(
    server: Served, shown: Pictures, load: tuple[float, int, float], name: str, floor: float
) -> tuple[Sequence[Streamed], Row]:
    """`load` is frames a second, streams and seconds."""
    pace, count, seconds = load
    before = server.usage()
    got = stream(server, shown, pace, seconds, streams=count)
    after = server.usage()
    ages = [age for one in got for age in one.ages_ms]
    told = replace(row(f"{name}: age of the answer", ages, floor), per_second=round(len(ages) / seconds, 1))
    return got, weighed(told, (after.cpu_s - before.cpu_s) / len(ages), after.memory_mb)
