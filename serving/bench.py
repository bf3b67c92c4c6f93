"""A whole request against the bare network: one run, one machine, one network, the same frames, in turn."""

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from datasets.files import decode_picture
from datasets.phantom.generate import phantom
from model.anatomy import HIP_VIEWS
from model.preprocess import find_sector, letterbox
from model.reading import Reader
from model.runtime import STARTER, Session

SIZE = (960, 720)
_START_S, _ANSWER_S = 60.0, 30.0


@dataclass(frozen=True, slots=True)
class Row:
    """Latencies of one way, in ms, and the median's ratio to the bare network's."""

    name: str
    p50_ms: float
    p95_ms: float
    p99_ms: float
    ratio: float


@dataclass(frozen=True, slots=True)
class BenchReport:
    """All ways measured in one run."""

    rounds: int
    rows: tuple[Row, ...]

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    def table(self) -> str:
        lines = [f"{'':28}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}{'/ network':>11}"]
        lines += [f"{r.name:28}{r.p50_ms:9.2f}{r.p95_ms:9.2f}{r.p99_ms:9.2f}{r.ratio:11.2f}" for r in self.rows]
        return "\n".join([*lines, f"{self.rounds} rounds, each way in turn, {SIZE[0]}x{SIZE[1]} JPEG frames"])


def bench(rounds: int = 200, model: Path | None = None) -> BenchReport:
    """Measures the bare network, bare decoding, the reader, and an HTTP request on loopback, interleaved."""
    session = Session(model or STARTER)
    reader = Reader(session)
    frames = [_jpeg(seed) for seed in range(6)]
    pictures = [_letterboxed(data, session.spec.input_height, session.spec.input_width) for data in frames]
    with _Served(model or STARTER) as client:
        ways: tuple[tuple[str, Callable[[int], object]], ...] = (
            ("bare session.run", lambda k: session.run(pictures[k % 6])),
            ("bare JPEG decode", lambda k: decode_picture(frames[k % 6])),
            ("Reader.read", lambda k: reader.read(decode_picture(frames[k % 6]))),
            ("HTTP request, one client", lambda k: client.post(frames[k % 6])),
        )
        taken: dict[str, list[float]] = {name: [] for name, _ in ways}
        for k in range(-5, rounds):
            for name, way in ways:
                started = time.perf_counter()
                way(k)
                if k >= 0:
                    taken[name].append(1e3 * (time.perf_counter() - started))
    floor = float(np.median(taken["bare session.run"]))
    return BenchReport(rounds, tuple(_row(name, np.array(times), floor) for name, times in taken.items()))


def _row(name: str, times: "np.ndarray[tuple[int], np.dtype[np.float64]]", floor: float) -> Row:
    p50, p95, p99 = (round(float(v), 3) for v in np.percentile(times, (50, 95, 99)))
    return Row(name, p50, p95, p99, round(p50 / floor, 3))


def _jpeg(k: int) -> bytes:
    sample = phantom(3_100_000 + k, HIP_VIEWS[k % 3])
    grey = cv2.resize(sample.frame.grey, SIZE, interpolation=cv2.INTER_LINEAR)
    return bytes(cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes())


def _letterboxed(data: bytes, height: int, width: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    frame = decode_picture(data)
    return letterbox(frame, find_sector(frame), height, width)[0]


class _Served:
    """A real server on loopback, a process of its own, with one keep-alive client."""

    def __init__(self, model: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        command = [sys.executable, "-m", "hipsono", "serve", "--port", str(self._port), "--model", str(model)]
        self._process = subprocess.Popen(command)
        self._client = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_ANSWER_S)

    def __enter__(self) -> "_Served":
        deadline = time.monotonic() + _START_S
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.kill()
                raise RuntimeError(f"the server did not come up on port {self._port}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._process.terminate()
        self._process.wait(timeout=_START_S)

    def post(self, data: bytes) -> bytes:
        """One request; raises RuntimeError where it is refused."""
        self._client.request("POST", "/v1/frames", data, {"Content-Type": "image/jpeg"})
        answer = self._client.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"status {answer.status}: {body.decode()}")
        return body

    def _ready(self) -> bool:
        try:
            self._client.request("GET", "/readyz")
            answer = self._client.getresponse()
            answer.read()
        except OSError:
            self._client.close()
            return False
        return answer.status == 200
