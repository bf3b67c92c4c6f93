"""The reader off the event loop: a bounded number of workers, a bounded queue, a deadline."""

from collections.abc import Callable
from typing import TypeVar

import anyio
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
        self.session = Session(settings.model, settings.threads)
        self.reader = Reader(self.session)
        self._limiter = CapacityLimiter(settings.workers)
        self._present = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Runs CPU work on a worker thread. Raises Problem 503 where the queue is full, 504 past the deadline."""
        settings = self.settings
        if self._present >= settings.workers + settings.queue_depth:
            raise Problem(503, "the server is full: send again later, or fewer frames at once", retry_after_s=1)
        self._present += 1
        try:
            with anyio.fail_after(settings.deadline_ms / 1000):
                return await to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._limiter)
        except TimeoutError as error:
            raise Problem(504, f"not answered within {settings.deadline_ms:g} ms: the server is overloaded") from error
        finally:
            self._present -= 1
