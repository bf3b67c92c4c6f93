"""The reader off the event loop: a bounded number of workers, a bounded queue, a deadline."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from model.reading import Reader
from model.runtime import Session
from serving.problems import Problem
from serving.settings import Settings

T = TypeVar("T")


class Engine:
    """Holds the loaded network and lets requests use it in turn."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.session = Session(settings.model, settings.threads, settings.provider)
        self.reader = Reader(self.session)
        self._limiter = CapacityLimiter(settings.workers)
        self._present = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Runs CPU work on a worker thread. Raises Problem 503 where the queue is full, 504 past the deadline."""
        settings = self.settings
        if self._present >= settings.workers + settings.queue_depth:
            raise Problem(503, "the server is full: send again later, or fewer frames at once", retry_after_s=1)
        self._present += 1
        task = asyncio.ensure_future(self._work(work))
        try:
            return await asyncio.wait_for(asyncio.shield(task), settings.deadline_ms / 1000)
        except TimeoutError as error:
            task.add_done_callback(_forget)
            raise Problem(504, f"not answered within {settings.deadline_ms:g} ms: the server is overloaded") from error

    async def run_admitted(self, work: Callable[[], T]) -> T:
        """The same for the next part of work that was admitted already: it waits its turn and is not refused."""
        self._present += 1
        return await self._work(work)

    async def _work(self, work: Callable[[], T]) -> T:
        """A place is given back when its work ends, not when its caller gives up."""
        try:
            return await to_thread.run_sync(work, limiter=self._limiter)
        finally:
            self._present -= 1


def _forget(task: "asyncio.Future[T]") -> None:
    """Takes the outcome of work whose caller has gone, so that it is not reported as lost."""
    if not task.cancelled():
        task.exception()
