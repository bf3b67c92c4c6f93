"""How the network is run best on this machine, by measurement: provider and threads for one frame, frames at once."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from datasets.files import decode_picture
from model.reading import Reader
from model.runtime import Session, available
from serving.bench.clients import rate
from serving.bench.pictures import Pictures, pictures
from serving.settings import Settings
from serving.tuning import Choice, store_choice

_RUNS: Final = 60
_SECONDS: Final = 3.0
_WORTH: Final = 0.97
"""More threads or workers are taken only where they save or bring more than three in a hundred."""


def keep_best(model: Path | None, say: Callable[[str], None]) -> str:
    """Chooses, stores the choice where the server looks for it, and says what and where."""
    settings = Settings() if model is None else Settings(model=model)
    choice = tune(settings.model, say)
    store_choice(choice, settings.model, settings.tuned)
    told = f"{choice.provider}, {choice.threads} threads, {choice.workers} frames at once"
    return f"{told}: kept in {settings.tuned}; `hipsono serve` takes it from there"


def tune(model: Path, say: Callable[[str], None]) -> Choice:
    """The provider and threads that read one frame soonest, then the workers that read most frames a second."""
    shown = pictures(Session(model).spec)
    cores = os.cpu_count() or 1
    best: tuple[float, Choice] | None = None
    for provider in available():
        for threads in _doubling(cores):
            session = Session(model, threads, provider)
            ms = _median_ms(session, shown)
            say(f"{provider}, {threads} threads: one frame in {ms:.2f} ms")
            if best is None or ms < _WORTH * best[0]:
                best = ms, Choice(provider, threads)
    assert best is not None, "onnxruntime always has the processor"
    chosen = best[1]
    rates: list[tuple[float, int]] = []
    for workers in range(1, cores + 2):
        read = _rate(model, chosen, workers, shown)
        say(f"{workers} frames at once: {read:.1f} frames/s read")
        if not rates or read * _WORTH > rates[-1][0]:
            rates.append((read, workers))
    return Choice(chosen.provider, chosen.threads, rates[-1][1])


def _doubling(most: int) -> tuple[int, ...]:
    """1, 2, 4 and so on up to `most`, which is always among them."""
    return tuple(sorted({min(2**k, most) for k in range(most.bit_length() + 1)}))


def _median_ms(session: Session, shown: Pictures) -> float:
    taken = []
    for k in range(_RUNS):
        started = time.perf_counter()
        session.run(shown.input(k))
        taken.append(1e3 * (time.perf_counter() - started))
    return float(np.median(taken[_RUNS // 6 :]))


def _rate(model: Path, chosen: Choice, workers: int, shown: Pictures) -> float:
    """Frames a second that so many workers decode and read, each frame by one thread where there are several."""
    session = Session(model, chosen.threads, chosen.provider, several=workers > 1)
    session.crowded = workers > 1
    reader = Reader(session)
    return rate(lambda k: reader.read(decode_picture(shown.jpeg(k))), workers, _SECONDS)
