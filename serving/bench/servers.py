"""A server in a process of its own on this machine: started, asked, weighed, stopped."""

import http.client
import os
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httptools
import psutil

ROOT: Final = Path(__file__).resolve().parents[2]
_START_S: Final = 120.0
_ANSWER_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor seconds spent so far and memory held now, children included."""

    cpu_s: float
    memory_mb: float


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a server is started and asked. `command` has {port} where the port goes; pictures are posted to `path`, raw
    or as the field `form` of a multipart body; `ready` answers 200 once it is up.
    """

    name: str
    command: tuple[str, ...]
    path: str = "/predict"
    ready: str = "/health"
    form: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)


class Served:
    """A running server."""

    def __init__(self, recipe: "Recipe") -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.recipe = recipe
        words = [word.replace("{port}", str(self.port)) for word in recipe.command]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(words, env={**os.environ, **recipe.env}, stdout=quiet, stderr=quiet)

    def __enter__(self) -> "Served":
        deadline = time.monotonic() + _START_S
        while not self.ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._stop()
                raise RuntimeError(f"{self.recipe.name} did not come up on port {self.port}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def client(self) -> "Client":
        """A new keep-alive connection."""
        return Client(self.port, self.recipe)

    def usage(self) -> Usage:
        """What it has used, and its children: LitServe and BentoML work in processes of their own."""
        parent = psutil.Process(self._process.pid)
        family = [parent, *parent.children(recursive=True)]
        cpu = sum(sum(one.cpu_times()[:2]) for one in family)
        return Usage(cpu, sum(one.memory_info().rss for one in family) / 1e6)

    def ready(self) -> bool:
        """Whether it says so."""
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            connection.request("GET", self.recipe.ready)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False

    def _stop(self) -> None:
        if self._process.poll() is not None:
            return
        parent = psutil.Process(self._process.pid)
        family = [parent, *parent.children(recursive=True)]
        for one in family:
            one.terminate()
        _, left = psutil.wait_procs(family, timeout=10)
        for one in left:
            one.kill()


class Client:
    """One connection that posts pictures in turn; as thin as can be, since its time counts as the server's."""

    def __init__(self, port: int, recipe: Recipe) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=_ANSWER_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._recipe = recipe
        self.name = recipe.name

    def post(self, data: bytes) -> int:
        """The answer's status; its body is read to the end. Raises ConnectionError where the server hangs up."""
        body, kind = (data, "image/jpeg") if self._recipe.form is None else _form(self._recipe.form, data)
        head = f"POST {self._recipe.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
        self._socket.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = _Answer()
        parser = httptools.HttpResponseParser(answer)
        while not answer.complete:
            received = self._socket.recv(1 << 18)
            if not received:
                raise ConnectionError(f"{self.name} closed the connection before its answer was complete")
            parser.feed_data(received)
        return int(parser.get_status_code())

    def close(self) -> None:
        self._socket.close()


class _Answer:
    """What httptools calls back."""

    complete = False

    def on_message_complete(self) -> None:
        self.complete = True


def _form(field_name: str, data: bytes) -> tuple[bytes, str]:
    edge = "hipsono-bench-7c1f"
    head = (
        f'--{edge}\r\nContent-Disposition: form-data; name="{field_name}"; filename="hip.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    return head.encode() + data + f"\r\n--{edge}--\r\n".encode(), f"multipart/form-data; boundary={edge}"
