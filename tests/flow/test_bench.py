"""The bench measures what it says: a short run of the real thing, and its arithmetic on paper."""

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace

import numpy as np
import pytest
from websockets.sync.server import serve

from model.runtime import STARTER, Provider, Session
from serving.bench import run
from serving.bench.clients import Crowd, Streamed, crowd, stream
from serving.bench.figures import Report, at_least, at_most, row
from serving.bench.overload import Unloaded, overload
from serving.bench.page import _measured, chromium, watch_page
from serving.bench.pictures import Pictures, pictures
from serving.bench.servers import Client, Recipe, Served, Usage
from tests.flow.conftest import free_port
from tests.flow.test_command import hipsono


def test_a_short_bench_tells_every_figure():
    done = hipsono("bench", "--rounds", 10, "--seconds", 1, "--overload", 1, "--no-peers", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    names = " ".join(figure["name"] for figure in told["figures"])
    for wanted in ("one HTTP client", "four streams", "clients: accepted", "streams at 30/s: p99", "jitter", "lag"):
        assert wanted in names
    held = {figure["name"]: figure["holds"] for figure in told["figures"]}
    assert held["after the overload: ready, and a frame read"]
    floor, *rest = told["rows"]
    assert floor["ratio"] == 1.0
    assert all(r["p50"] <= r["p95"] <= r["p99"] <= r["p999"] <= r["worst"] for r in (floor, *rest))
    crowd = next(r for r in rest if "eight clients" in r["name"])
    assert crowd["per_second"] > 0 and crowd["cpu_ms"] > 0 and crowd["memory_mb"] > 30
    batch = next(r for r in rest if r["name"] == "hipsono read: a folder")
    streams = [r for r in rest if "stream" in r["name"]]
    assert len(streams) == 3
    assert all(r["cpu_ms"] > 0 and r["memory_mb"] > 30 and r["per_second"] > 0 for r in (batch, *streams))
    assert all(r["cpu_ms"] > 0 for r in (floor, *rest))


@pytest.fixture
def asked():
    """What the bench asks, of a server in a thread that answers as the test says: its port, name and clients."""
    port = free_port()
    recipe = Recipe("faulty", ())
    return SimpleNamespace(port=port, recipe=recipe, client=lambda: Client(port, recipe))


@contextmanager
def answering(port, status):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            if status is None:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield
    server.shutdown()
    server.server_close()


PICTURES = Pictures((b"jpeg",), ())


def test_a_crowd_counts_the_refused_apart(asked):
    with answering(asked.port, 503):
        got = crowd(asked, PICTURES, 2, 0.2)
    assert got.refused > 1 and got.taken_ms == ()


@pytest.mark.parametrize(("status", "error"), [(500, RuntimeError), (422, RuntimeError), (None, ConnectionError)])
def test_a_crowd_does_not_take_faults_for_answers(asked, status, error):
    with answering(asked.port, status), pytest.raises(error):
        crowd(asked, PICTURES, 3, 0.2)


def test_a_dropped_client_fails_the_overload(asked):
    asked.usage, asked.ready = lambda: Usage(0.0, 100.0), lambda: True
    with answering(asked.port, None):
        told = overload(asked, PICTURES, 0.2, Unloaded(1, 3.0, [1.0], [1.0]))
    lost = [figure for figure in told if "hung up on" in figure.name]
    assert len(lost) == 2
    assert not any(figure.holds for figure in (*lost, told[-1]))


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({"seq": 0, "dropped": 0, "status": 422, "detail": "no picture"}, "422"),
        (None, "closed a stream"),
    ],
)
def test_a_stream_that_is_refused_or_closed_is_no_answer(asked, answer, found):
    def work(connection):
        connection.recv()
        if answer is not None:
            connection.send(json.dumps(answer))
            connection.recv()
        connection.close(1011)

    with serve(work, "127.0.0.1", asked.port) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises((RuntimeError, ConnectionError), match=found):
            stream(asked, PICTURES, 10, 0.3)


def test_a_picture_without_a_time_of_capture_is_no_measurement():
    assert _measured([20.0, 30.0]) == (20.0, 30.0)
    with pytest.raises(RuntimeError, match="2 frames were shown, 1 with"):
        _measured([20.0, float("nan")])


@pytest.mark.skipif(chromium() is None, reason="no chromium: install it, or name it in HIPSONO_CHROMIUM")
def test_the_viewer_is_timed_from_the_camera_to_the_drawing():
    with Served(run.hipsono(STARTER, Provider.CPU)) as server:
        seen = watch_page(server, pictures(Session(threads=1).spec), 2)
    assert 10 <= len(seen.page_ms) <= seen.answered
    assert min(seen.page_ms) > min(seen.server_ms) > 0
    assert np.median(seen.page_ms) > np.median(seen.server_ms)


def test_figures_on_paper():
    assert row("a", [1.0, 2.0, 3.0], 4.0).ratio == 0.5
    assert at_most("x", 1.2, 1.25).holds and not at_most("x", 1.3, 1.25).holds
    assert at_least("x", 0.99, 0.99).holds and not at_least("x", 0.98, 0.99).holds
    assert Crowd((5.0, 5.0, 5.0), 1, 1.5).per_second == 2.0
    assert Streamed(4, (1.0, 2.0, 3.0), 1.5).answered_share == 0.75
    told = Report("two cores", (row("way", [1.0]),), (at_most("late", 2, 1),)).markdown()
    assert "| way | 1.0 |" in told
    assert "| late | 2 | <= 1 | **no** |" in told


@pytest.mark.parametrize("words", [("--rounds", "1"), ("--seconds", "0")])
def test_a_bench_too_short_to_tell_anything_is_refused(words):
    assert hipsono("bench", *words).returncode == 2
