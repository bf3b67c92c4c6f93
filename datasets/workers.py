"""Worker processes: fresh ones, one thread of OpenCV each, that end when the process that started them does."""

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from threading import Thread

import cv2


def worker_pool(
    workers: int | None = None, start: Callable[..., None] | None = None, *given: object
) -> ProcessPoolExecutor:
    """Fresh processes, all cores unless told: a fork of a program that runs threads, such as torch's, can hang. Each
    begins with `start(*given)`.
    """
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _begin, (start, given))


def _begin(start: Callable[..., None] | None, given: tuple[object, ...]) -> None:
    cv2.setNumThreads(1)
    Thread(target=_end_with_parent, daemon=True).start()
    if start is not None:
        start(*given)


def _end_with_parent() -> None:
    """A worker holds both ends of the pipe its work comes through: of a killed parent it would never hear."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
