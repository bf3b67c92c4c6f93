"""A frame grabber, a camera, a network stream or a video, taken off as it comes.

A thread of its own takes every picture off the source, so that none waits in a driver's or a socket's queue; the newest
waits to be read, the others are counted. What is live and lost is opened again until it is back; a file ends.
"""

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Event, Thread
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from datasets.files import UnreadableFile

SILENT_S: Final = 2.0
"""After so long without a picture a live source is told to be silent."""
CLOSING_S: Final = 10.0
"""For a picture that is being taken or read when the program ends."""
_AGAIN_S: Final = 1.0
_NETWORK_MS: Final = 5000
"""OpenCV waits half a minute for a network stream that has fallen silent: too long to notice that it is lost."""
_OPEN_REMEDY: Final = (
    "check that it is connected and free, or name another: a number, a device file, an address or a file"
)
_ADDRESS: Final = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Source:
    """A grabber's number or device file, an address, or a file; size (width, height), rate and codec are a device's.

    Raises ValueError where those are asked of anything else, or cannot be.
    """

    name: str
    size: tuple[int, int] | None = None
    rate: float | None = None
    codec: str | None = None

    def __post_init__(self) -> None:
        if self.codec is not None and not re.fullmatch(r"[\x20-\x7e]{4}", self.codec):
            raise ValueError(f"a codec has four letters, such as MJPG or YUYV; got {self.codec!r}")
        if self.asked() and not self.is_device:
            raise ValueError(
                f"size, rate and codec are asked of a device, such as 0 or /dev/video0, not of {self.name}"
            )

    @property
    def is_device(self) -> bool:
        """Whether a driver gives the pictures."""
        return self.name.isdigit() or self.name.startswith("/dev/")

    def asked(self) -> tuple[tuple[int, float], ...]:
        """What is asked of the driver, in the order in which it is asked: the codec decides which sizes there are."""
        width, height = self.size or (None, None)
        code = None if self.codec is None else cv2.VideoWriter.fourcc(*self.codec)
        named = (
            (cv2.CAP_PROP_FOURCC, code),
            (cv2.CAP_PROP_FRAME_WIDTH, width),
            (cv2.CAP_PROP_FRAME_HEIGHT, height),
            (cv2.CAP_PROP_FPS, self.rate),
        )
        return tuple((name, value) for name, value in named if value is not None)


def parse_size(text: str) -> tuple[int, int]:
    """ "WIDTHxHEIGHT" in pixels. Raises ValueError with the form expected."""
    found = re.fullmatch(r"([1-9]\d{1,4})x([1-9]\d{1,4})", text)
    if found is None:
        raise ValueError(f"a size is WIDTHxHEIGHT in pixels, such as 1280x720; got {text!r}")
    return int(found[1]), int(found[2])


@dataclass(frozen=True, slots=True, eq=False)
class Grab:
    """A picture as OpenCV gives it (BGR or grey), its number, when it came, and how many it pushed aside."""

    picture: NDArray[np.uint8]
    seq: int
    at: float
    dropped: int


class Capture:
    """An opened source whose newest picture waits here. Raises UnreadableFile where it cannot be opened."""

    def __init__(self, source: Source) -> None:
        video = _opened(source)
        if video is None:
            raise UnreadableFile(source.name, "no video source can be opened there", _OPEN_REMEDY)
        self._source, self._video = source, video
        rate = video.get(cv2.CAP_PROP_FPS)
        self._live = not (Path(source.name).is_file() or video.get(cv2.CAP_PROP_FRAME_COUNT) > 0)
        self._pace_s = 1 / rate if not self._live and 0 < rate <= 240 else 0.0
        self.given = _described(video, source)
        self._news = Condition()
        self._newest: Grab | None = None
        self._count = 0
        self._ended = False
        self._closed = Event()
        self._thread = Thread(target=self._run, daemon=True)

    def grabs(self) -> Iterator[Grab | None]:
        """The newest picture each time one is asked for, until the source ends; taking them off begins now.

        None where a live source has been silent for SILENT_S, once until its next picture.
        """
        self._thread.start()
        silent = False
        while True:
            with self._news:
                self._news.wait_for(lambda: self._newest is not None or self._ended, SILENT_S if self._live else None)
                grab, self._newest = self._newest, None
            if grab is None and self._ended:
                return
            if grab is not None or not silent:
                yield grab
            silent = grab is None

    def close(self) -> None:
        """Takes no more pictures; the source has ended. Waits for the one being taken: a process that ends within
        OpenCV aborts.
        """
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join(CLOSING_S)

    def _run(self) -> None:
        video: Any = self._video
        try:
            while video is not None:
                with suppress(cv2.error):
                    self._take(video)
                video.release()
                video = self._again() if self._live else None
        finally:
            with self._news:
                self._ended = True
                self._news.notify()

    def _take(self, video: Any) -> None:
        began, before = time.perf_counter(), self._count
        while not self._closed.is_set() and (taken := video.read())[0]:
            with self._news:
                dropped = 0 if self._newest is None else self._newest.dropped + 1
                self._newest = Grab(np.asarray(taken[1], np.uint8), self._count, time.perf_counter(), dropped)
                self._news.notify()
            self._count += 1
            if self._pace_s:
                due = began + (self._count - before) * self._pace_s
                self._closed.wait(max(0.0, due - time.perf_counter()))

    def _again(self) -> Any:
        """The source, opened again as soon as it can be; None once closed."""
        while not self._closed.wait(_AGAIN_S):
            video = _opened(self._source)
            if video is not None:
                return video
        return None


def _opened(source: Source) -> Any:
    """The source as OpenCV's capture, or None."""
    if source.name.isdigit():
        video = cv2.VideoCapture(int(source.name))
    elif source.is_device:
        video = cv2.VideoCapture(source.name, cv2.CAP_V4L2)
    elif _ADDRESS.match(source.name):
        patience = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _NETWORK_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _NETWORK_MS]
        video = cv2.VideoCapture(source.name, cv2.CAP_FFMPEG, patience)
    else:
        video = cv2.VideoCapture(source.name)
    for name, value in source.asked():
        video.set(name, value)
    return video if video.isOpened() else None


def _described(video: Any, source: Source) -> str:
    """What it gives, which need not be what was asked: drivers take the nearest that they have."""
    width, height = (int(video.get(name)) for name in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    told = f"{width}x{height} at {video.get(cv2.CAP_PROP_FPS):g}/s"
    if not source.is_device:
        return told
    code = int(video.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
    return f"{told}, {code.to_bytes(4, 'little').decode('ascii', 'replace')}"
