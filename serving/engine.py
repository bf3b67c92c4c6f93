"""The reader off the event loop: a bounded number of workers, a bounded queue, a deadline."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TypeVar

import cv2

from model.reading import Reader
from serving.problems import Problem
from serving.settings import Settings
from serving.tuning import choice_of, open_session

T = TypeVar("T")


class Engine:
    """Holds the loaded network and lets requests use it in turn."""

    def __init__(self, settings: Settings) -> None:
        # Frames are read side by side; OpenCV's own threads would take the network's cores while they wait.
        cv2.setNumThreads(1)
        self.settings = settings
        choice = choice_of(settings)
        self.session = open_session(settings, choice)
        self.reader = Reader(self.session)
        self._at_once = choice.workers
        self._workers = ThreadPoolExecutor(choice.workers, thread_name_prefix="reader")
        self._lock = Lock()
        self._present = 0

    def refusal(self) -> Problem | None:
        """What a request is told that finds no place to wait; None where there is one."""
        if self._present < self._at_once + self.settings.queue_depth:
            return None
        return Problem(503, "the server is full: send again later, or fewer frames at once", retry_after_s=1)

    async def run(self, work: Callable[[], T]) -> T:
        """Runs CPU work on a worker thread. Raises Problem 503 where the queue is full, 504 past the deadline."""
        refused = self.refusal()
        if refused is not None:
            raise refused
        outcome = self._admit(work)
        done, _ = await asyncio.wait((outcome,), timeout=self.settings.deadline_ms / 1000)
        if not done:
            outcome.add_done_callback(_forget)
            raise Problem(504, f"not answered within {self.settings.deadline_ms:g} ms: the server is overloaded")
        return outcome.result()

    async def run_admitted(self, work: Callable[[], T]) -> T:
        """The same for the next part of work that was admitted already: it waits its turn and is not refused."""
        return await self._admit(work)

    def _admit(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        self._count(1)
        future = self._workers.submit(work)
        future.add_done_callback(self._leave)
        return asyncio.wrap_future(future)

    def _leave(self, _: "Future[T]") -> None:
        """A place is given back when its work ends, not when its caller gives up."""
        self._count(-1)

    def _count(self, change: int) -> None:
        with self._lock:
            self._present += change
            self.session.crowded = min(self._present, self._at_once) > 1


def _forget(outcome: "asyncio.Future[T]") -> None:
    """Takes the outcome of work whose caller has gone, so that it is not reported as lost."""
    if not outcome.cancelled():
        outcome.exception()
