"""Studies over processes, a network in each; a study that kills its process is found and told, and the others go on."""

import platform
import signal
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import cv2

from datasets.workers import worker_pool
from model.reading import Reader
from model.runtime import Execution, Session
from serving.archive.note import programs
from serving.archive.parts import Parts
from serving.archive.plan import Study
from serving.archive.study import Asked, StudyRead, read_study
from serving.deidentify.clean import Cleaner

AHEAD: Final = 2
"""Studies handed out for each process: the next waits there when one is done."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What every process is started with, and which network and programs it must find where it runs."""

    model: Path
    parts: Path
    digest: str
    asked: Asked
    sha256: str
    programs: dict[str, str]
    execution: Execution


@dataclass(frozen=True, slots=True)
class Done:
    """A study that was read and written: how many frames, how many files that gave none or not all."""

    study: Study
    frames: int
    failures: int


@dataclass(frozen=True, slots=True)
class Died:
    """A study that killed the process that read it, alone."""

    study: Study


def read_all(studies: Iterable[Study], setup: Setup, workers: int) -> Iterator[Done | Died]:
    """Reads and writes studies, in whatever order they are ready. Raises OSError where a part cannot be written."""
    waiting = iter(studies)
    while True:
        suspects = yield from _until_broken(waiting, setup, workers)
        if suspects is None:
            return
        for suspect in suspects:
            left = yield from _until_broken(iter((suspect,)), setup, 1)
            if left is not None:
                yield Died(suspect)


def _until_broken(
    waiting: Iterator[Study], setup: Setup, workers: int
) -> Generator[Done, None, tuple[Study, ...] | None]:
    """Reads on until all is done (None), or until a process dies: then the studies that were at work."""
    at_work: dict[Future[Done], Study] = {}
    pool = worker_pool(workers, _start, setup)
    try:
        while True:
            for study in islice(waiting, AHEAD * workers - len(at_work)):
                at_work[_handed_out(pool, study)] = study
            if not at_work:
                return None
            for future in wait(at_work, return_when=FIRST_COMPLETED).done:
                yield future.result()
                del at_work[future]
    except BrokenProcessPool:
        return tuple(at_work.values())
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _handed_out(pool: ProcessPoolExecutor, study: Study) -> Future[Done]:
    """A pool that has just broken takes no more: the study is then among those that were at work."""
    try:
        return pool.submit(_read, study)
    except BrokenProcessPool as error:
        refused: Future[Done] = Future()
        refused.set_exception(error)
        return refused


class Worker:
    """A process's own network.

    Raises ValueError where network or programs are not those the run was begun with: its tables would mix two.
    """

    def __init__(self, setup: Setup) -> None:
        cv2.setNumThreads(1)
        self.setup = setup
        session = Session(setup.model, 1, setup.execution)
        _check_same(session, setup)
        self.reader = Reader(session, setup.asked.rules, setup.asked.looks)
        self.cleaner = None if setup.asked.identities is None else Cleaner(setup.asked.identities)

    def read(self, study: Study) -> StudyRead:
        """Everything of a study."""
        return read_study(study, self.reader, self.setup.asked, self.cleaner)


def _check_same(session: Session, setup: Setup) -> None:
    if session.sha256 != setup.sha256:
        raise ValueError(
            f"{setup.model} on {platform.node()} is another network ({session.sha256[:12]}) than the run was begun "
            f"with ({setup.sha256[:12]}): put that one there and --resume"
        )
    here = programs()
    other = [f"{name} {here.get(name)}, not {told}" for name, told in setup.programs.items() if here.get(name) != told]
    if other:
        raise ValueError(f"{platform.node()} would read by other programs ({'; '.join(other)}): install the same")


_setup: Setup | None = None
_worker: Worker | None = None


def _start(setup: Setup) -> None:
    global _setup  # noqa: PLW0603 - a process pool hands its workers nothing else
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _setup = setup


def _read(study: Study) -> Done:
    global _worker  # noqa: PLW0603 - begun here, because what fails in _start is told to nobody
    assert _setup is not None, "the pool starts every process with a setup"
    _worker = _worker or Worker(_setup)
    read = _worker.read(study)
    Parts(_setup.parts, _setup.digest).write(study, read)
    return Done(study, read.readings.num_rows, len(read.failures))
