"""Worker processes for rendering, one thread each."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import cv2


def worker_pool(workers: int | None = None) -> ProcessPoolExecutor:
    """Fresh processes, all cores unless told: a fork of a program that runs threads, such as torch's, can hang."""
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_single_thread)


def _single_thread() -> None:
    cv2.setNumThreads(1)
