"""A whole request against the bare network: one run, one machine, one network, the same frames, in turn."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import uvicorn

from datasets.files import decode_picture
from datasets.phantom.generate import phantom
from model.anatomy import HIP_VIEWS
from model.preprocess import find_sector, letterbox
from model.reading import Reader
from model.runtime import STARTER
from serving.app import create_app
from serving.settings import Settings

SIZE = (960, 720)


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
    app = create_app(Settings(model=model or STARTER))
    session = app.state.engine.session
    reader = Reader(session)
    frames = [_jpeg(seed) for seed in range(6)]
    pictures = [_letterboxed(data, session.spec.input_height, session.spec.input_width) for data in frames]
    with _Served(app) as client:
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
    """A real server on loopback in a thread of this process, with one keep-alive client."""

    def __init__(self, app: object) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._server = uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="warning"))  # type: ignore[arg-type]
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)

    def __enter__(self) -> "_Served":
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        self._client = http.client.HTTPConnection("127.0.0.1", self._socket.getsockname()[1])
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._server.should_exit = True
        self._thread.join(timeout=10)

    def post(self, data: bytes) -> bytes:
        """One request; raises RuntimeError where it is refused."""
        self._client.request("POST", "/v1/frames", data, {"Content-Type": "image/jpeg"})
        answer = self._client.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"status {answer.status}: {body.decode()}")
        return body
