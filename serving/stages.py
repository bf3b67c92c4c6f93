"""Where a frame's time goes: waiting, decoding, the reader's own stages, encoding."""

from dataclasses import replace
from time import perf_counter

from model.reading import Reading, Timing


class Stopwatch:
    """The stages of one piece of work; made when that begins, with the perf_counter() since which it had waited."""

    def __init__(self, since_s: float) -> None:
        self._began = self._last = perf_counter()
        self._stages = [Timing("queue", 1e3 * (self._began - since_s))]

    def lap(self, stage: str) -> None:
        """Names what was done since the last lap."""
        now = perf_counter()
        self._stages.append(Timing(stage, 1e3 * (now - self._last)))
        self._last = now

    def timed(self, reading: Reading) -> Reading:
        """The reading with the stages before its own, and the total of all but the waiting. Ends a lap."""
        self._last = perf_counter()
        self._stages += (*reading.timings, Timing("total", 1e3 * (self._last - self._began)))
        return replace(reading, timings=tuple(self._stages))

    def header(self) -> str:
        """The stages so far as a Server-Timing header's value."""
        return ", ".join(f"{stage.stage};dur={stage.ms:.2f}" for stage in self._stages)
