"""The reader off the event loop: a bounded number of workers, a bounded queue, a deadline."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
        self.reader = Reader(self.session, looks=settings.looks)
        self._at_once = choice.workers
        self._workers = ThreadPoolExecutor(choice.workers, thread_name_prefix="reader")
        self._lock = Lock()
        self._present = 0
        self._requests = 0

    def refusal(self) -> Problem | None:
        """What a request is told that finds no place to wait; None where there is one. Streams take no such place."""
        if self._requests < self._at_once + self.settings.queue_depth:
            return None
        return Problem(503, "the server is full: send again later, or fewer frames at once", retry_after_s=1)

    async def run(self, work: Callable[[], T]) -> T:
        """Runs CPU work on a worker thread. Raises Problem 503 where the queue is full, 504 past the deadline.

        Work that has not begun by its deadline, or whose caller has gone, is never begun.
        """
        refused = self.refusal()
        if refused is not None:
            raise refused
        deadline = asyncio.timeout(self.settings.deadline_ms / 1000)
        try:
            async with deadline:
                return await self._admit(work, requests=1)
        except TimeoutError as error:
            if not deadline.expired():
                raise
            told = f"not answered within {self.settings.deadline_ms:g} ms: the server is overloaded"
            raise Problem(504, told) from error

    async def run_admitted(self, work: Callable[[], T]) -> T:
        """The same for a stream's newest frame, or the next part of a request: it waits its turn and is not refused.

        Turns are taken in the order of asking, and nobody asks for a second before the first has ended: whoever is
        there gets the same share.
        """
        return await self._admit(work, requests=0)

    def _admit(self, work: Callable[[], T], requests: int) -> "asyncio.Future[T]":
        self._count(1, requests)
        future = self._workers.submit(work)
        future.add_done_callback(lambda _: self._count(-1, -requests))
        return asyncio.wrap_future(future)

    def _count(self, present: int, requests: int) -> None:
        """A place is given back when its work ends, not when its caller gives up."""
        with self._lock:
            self._present += present
            self._requests += requests
            self.session.crowded = min(self._present, self._at_once) > 1
