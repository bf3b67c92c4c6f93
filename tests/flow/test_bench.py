"""The bench measures what it says: a short run of the real thing, and its arithmetic on paper."""

import json

import pytest

from serving.bench.clients import Crowd, Streamed
from serving.bench.figures import Report, at_least, at_most, row
from tests.flow.test_command import hipsono


def test_a_short_bench_tells_every_figure():
    done = hipsono("bench", "--rounds", 10, "--seconds", 1, "--overload", 1, "--no-peers", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    names = " ".join(figure["name"] for figure in told["figures"])
    for wanted in ("one HTTP client", "one stream at 30/s", "four streams", "overload", "jitter", "lag"):
        assert wanted in names
    floor, *rest = told["rows"]
    assert floor["ratio"] == 1.0
    assert all(r["p50"] <= r["p95"] <= r["p99"] <= r["p999"] <= r["worst"] for r in (floor, *rest))
    crowd = next(r for r in rest if "eight clients" in r["name"])
    assert crowd["per_second"] > 0 and crowd["cpu_ms"] > 0 and crowd["memory_mb"] > 30


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
