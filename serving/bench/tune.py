"""How the network is run best on this machine, by measurement: provider and threads for one frame, frames at once."""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np

from datasets.files import decode_picture
from model.reading import Reader
from model.runtime import Session, available
from serving.bench.clients import rate
from serving.bench.pictures import Pictures, pictures
from serving.settings import Settings
from serving.tuning import Choice, open_session, store_choice

_RUNS: Final = 60
_SECONDS: Final = 3.0
_WORTH: Final = 0.97
"""More threads or workers are taken only where they save or bring more than three in a hundred."""


def keep_best(settings: Settings, say: Callable[[str], None]) -> str:
    """Chooses, stores the choice where the server looks for it, and says what and where."""
    choice = tune(settings, say)
    store_choice(choice, settings.model, settings.tuned)
    told = f"{choice.provider}, {choice.threads} threads, {choice.workers} frames at once"
    return f"{told}: kept in {settings.tuned}; all that reads frames takes it from there"


def tune(settings: Settings, say: Callable[[str], None]) -> Choice:
    """The provider and threads that read one frame soonest, then the workers that read most frames a second.

    A provider that this onnxruntime has and cannot use here is told and left out.
    """
    shown = pictures(Session(settings.model).spec)
    cores = os.cpu_count() or 1
    best: tuple[float, Choice] | None = None
    for provider in (settings.provider,) if settings.provider else available():
        for threads in _doubling(cores):
            try:
                session = open_session(settings, Choice(provider, threads, workers=1))
            except ValueError as error:
                say(str(error))
                break
            ms = _median_ms(session, shown)
            say(f"{provider}, {threads} threads: one frame in {ms:.2f} ms")
            if best is None or ms < _WORTH * best[0]:
                best = ms, Choice(provider, threads)
    assert best is not None, "onnxruntime always has the processor"
    chosen = best[1]
    rates: list[tuple[float, int]] = []
    for workers in range(1, cores + 2):
        read = _rate(settings, replace(chosen, workers=workers), shown)
        say(f"{workers} frames at once: {read:.1f} frames/s read")
        if not rates or read * _WORTH > rates[-1][0]:
            rates.append((read, workers))
    return replace(chosen, workers=rates[-1][1])


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


def _rate(settings: Settings, choice: Choice, shown: Pictures) -> float:
    """Frames a second that so many workers decode and read, each frame by one thread where there are several."""
    session = open_session(settings, choice)
    session.crowded = choice.workers > 1
    reader = Reader(session)
    return rate(lambda k: reader.read(decode_picture(shown.jpeg(k))), choice.workers, _SECONDS)
