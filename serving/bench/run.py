"""The whole bench: every way against the floor, in turn, so that a machine's moods meet all alike."""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import psutil

from datasets.files import decode_picture
from model.reading import Reader
from model.runtime import STARTER, Session
from serving.bench.clients import crowd, rate, stream
from serving.bench.figures import Figure, Report, Row, at_least, at_most, row
from serving.bench.page import watch_page
from serving.bench.pictures import SIZE, Pictures, pictures
from serving.bench.servers import Client, Recipe, Served
from serving.bench.steadiness import steadiness
from serving.settings import Settings
from serving.tuning import choice_of

ROOT: Final = Path(__file__).resolve().parents[2]
_PEERS: Final = Path(__file__).parent / "peers"
_IN_A_ROW: Final = 5
_PAUSE_S: Final = 0.03
"""Before another way's turn: by then the threads of the one before have stopped waiting for more work."""
_FLOOR: Final = "floor: bare decode + bare session.run"


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to measure. `overload_s` 0 leaves the flood out. `peers` are interpreters, of which each
    other server takes the first that has its package; none leave them out.
    """

    rounds: int = 200
    seconds: float = 15.0
    overload_s: float = 60.0
    peers: tuple[Path, ...] = (Path(sys.executable),)


def bench(plan: Plan, model: Path | None = None, say: Callable[[str], None] = print) -> Report:
    """Everything in one run. A peer that is not installed, or does not come up, is left out and named."""
    path = (model or STARTER).resolve()
    session = Session(path)
    shown = pictures(session.spec)
    rows: list[Row] = []
    figures: list[Figure] = []
    with ExitStack() as stack:
        ours = stack.enter_context(Served(_ours(path)))
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hipsono-bench-")))
        peers = [peer for recipe in _recipes(path, plan.peers, scratch, say) for peer in _entered(stack, recipe, say)]
        say(f"one client, {plan.rounds} rounds")
        turns = _in_turn(session, shown, [ours, *peers], plan.rounds)
        floor = float(np.median(turns[_FLOOR]))
        rows += [row(name, taken, floor) for name, taken in turns.items()]
        figures += _one_client(turns, ours, peers, floor)
        most = _most(session, shown, plan.seconds)
        figures.append(Figure("the most bare session.run does, frames/s", round(most, 1), "", None))
        say("eight clients")
        crowds = {server.recipe.name: _crowded(server, shown, plan.seconds) for server in (ours, *peers)}
        rows += [told for told, _ in crowds.values()]
        figures += _crowd_figures({name: rate for name, (_, rate) in crowds.items()}, ours.recipe.name)
        say("streams")
        told, found = _streams(ours, shown, plan.seconds, (floor, most))
        rows, figures = rows + told, figures + found
        say("the viewer page")
        told, found = _page(ours, shown, plan.seconds, say)
        rows, figures = rows + told, figures + found
        if plan.overload_s:
            say(f"overload, {plan.overload_s:g} s")
            figures += _overload(ours, shown, plan.overload_s, turns[ours.recipe.name])
    say("steadiness")
    found_still = steadiness(Reader(session))
    figures += [
        at_most("landmark jitter on still cines / unsteadied", found_still.jitter, 0.3),
        at_most("lag on moving cines, frames (worst landmark)", found_still.worst_lag, 1),
    ]
    return Report(_machine(session), tuple(rows), tuple(figures))


def _ours(model: Path) -> Recipe:
    command = (sys.executable, str(ROOT / "hipsono.py"), "serve", "--port", "{port}", "--model", str(model))
    return Recipe("hipsono: POST /v1/frames", command, "/v1/frames", "/readyz")


def _recipes(model: Path, peers: tuple[Path, ...], scratch: Path, say: Callable[[str], None]) -> Iterator[Recipe]:
    for package, recipe in _wanted(str(model), scratch):
        python = next((str(p.absolute()) for p in peers if _has(p, package)), None)
        if python is not None:
            yield replace(recipe, command=(python, *recipe.command))
        elif peers:
            say(f"{recipe.name} is left out: no interpreter given by --peers-python has {package}")


def _wanted(model: str, scratch: Path) -> Iterator[tuple[str, Recipe]]:
    """The peers, each with the package it needs and its command after the interpreter's name."""
    told = {"HIPSONO_BENCH_MODEL": model}
    yield "onnxruntime", Recipe("FastAPI + onnxruntime", (str(_PEERS / "plain.py"), "{port}", model))
    yield "torch", Recipe("FastAPI + torch", (str(_PEERS / "plain.py"), "{port}", model, "torch"))
    yield "litserve", Recipe("LitServe", (str(_PEERS / "lit.py"), "{port}", model), form="request")
    bentoml = ("-m", "bentoml", "serve", "bento:Hip", "--working-dir", str(_PEERS), "--port", "{port}")
    yield "bentoml", Recipe("BentoML", bentoml, ready="/readyz", env=told)
    # It writes logs beside its app, so it is given a copy.
    app, studies = shutil.copytree(_PEERS / "label", scratch / "label"), scratch / "studies"
    studies.mkdir()
    found = told | {"PYTHONPATH": str(ROOT)}
    label = ("-m", "monailabel.main", "start_server", "--app", str(app), "--studies", str(studies), "--port", "{port}")
    yield "monailabel", Recipe("MONAI Label", label, "/infer/hip?output=json", "/info/", form="file", env=found)


def _has(python: Path, package: str) -> bool:
    """Whether an interpreter finds a package."""
    asked = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({package!r}) is None)"
    return subprocess.run((python, "-c", asked), check=False).returncode == 0


def _entered(stack: ExitStack, recipe: Recipe, say: Callable[[str], None]) -> Iterator[Served]:
    try:
        yield stack.enter_context(Served(recipe))
    except RuntimeError as error:
        say(f"{recipe.name} is left out: {error}")


def _in_turn(session: Session, shown: Pictures, servers: list[Served], rounds: int) -> dict[str, list[float]]:
    """The floor, our reader without a server, each server by one client: in turn, a few frames each, the first of
    which wakes it and does not count.
    """
    reader = Reader(session)
    clients = {server.recipe.name: server.client() for server in servers}
    ways: dict[str, Callable[[int], object]] = {
        _FLOOR: lambda k: (_decoded(shown.jpeg(k)), session.run(shown.input(k))),
        "Reader.read, no server": lambda k: reader.read(decode_picture(shown.jpeg(k))),
    }
    for name, client in clients.items():
        ways[name] = _posting(client, shown)
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for first in range(0, rounds, _IN_A_ROW):
        for name, way in ways.items():
            time.sleep(_PAUSE_S)
            way(first)
            taken[name] += [_timed(way, first + k) for k in range(_IN_A_ROW)]
    return taken


def _timed(way: Callable[[int], object], k: int) -> float:
    """Its wall time, ms."""
    started = time.perf_counter()
    way(k)
    return 1e3 * (time.perf_counter() - started)


def _posting(client: Client, shown: Pictures) -> Callable[[int], object]:
    def post(k: int) -> None:
        status = client.post(shown.jpeg(k))
        if status != 200:
            raise RuntimeError(f"{client.name} refused a picture with status {status}")

    return post


def _decoded(data: bytes) -> object:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def _one_client(turns: dict[str, list[float]], ours: Served, peers: list[Served], floor: float) -> list[Figure]:
    mine = float(np.median(turns[ours.recipe.name]))
    found = [at_most("one HTTP client: p50 / floor", mine / floor, 1.25)]
    if peers:
        best = min(float(np.median(turns[peer.recipe.name])) for peer in peers)
        found.append(at_most("one client: p50 / best peer's", mine / best, 0.7))
    return found


def _most(session: Session, shown: Pictures, seconds: float) -> float:
    """The most frames a second that bare session.run can do: one after another by all cores, or a core for each."""
    single = Session(session.path, threads=1)
    return max(
        rate(lambda k: session.run(shown.input(k)), 1, seconds / 2),
        rate(lambda k: single.run(shown.input(k)), os.cpu_count() or 1, seconds / 2),
    )


def _crowded(server: Served, shown: Pictures, seconds: float) -> tuple[Row, float]:
    before = server.usage()
    got = crowd(server, shown, 8, seconds)
    after = server.usage()
    cpu = 1e3 * (after.cpu_s - before.cpu_s) / max(len(got.taken_ms), 1)
    name = f"{server.recipe.name}, eight clients"
    told = row(name, got.taken_ms)
    weighed = replace(told, per_second=round(got.per_second, 1), cpu_ms=round(cpu, 2), memory_mb=round(after.memory_mb))
    return weighed, got.per_second


def _crowd_figures(rates: dict[str, float], mine: str) -> list[Figure]:
    others = [rate for name, rate in rates.items() if name != mine]
    return [at_least("eight clients: frames/s / best peer's", rates[mine] / max(others), 1.3)] if others else []


def _streams(
    ours: Served, shown: Pictures, seconds: float, bare: tuple[float, float]
) -> tuple[list[Row], list[Figure]]:
    """One stream at each rate that the bare network could follow, then four at once; `bare` is (floor ms, most/s)."""
    floor, most = bare
    rows, figures = [], []
    for pace in (30, 60):
        (one,) = stream(ours, shown, pace, seconds)
        name = f"one stream at {pace}/s"
        rows.append(_aged(name, one.ages_ms, floor, one.per_second))
        if pace <= 0.9 * most:
            p99 = float(np.percentile(one.ages_ms, 99))
            figures += [
                at_least(f"{name}: answered / sent", one.answered_share, 0.99),
                at_most(f"{name}: p99 age / floor", p99 / floor, 2),
            ]
    four = stream(ours, shown, 30, seconds, streams=4)
    every = sum(one.per_second for one in four)
    rows.append(_aged("four streams at 30/s", [age for one in four for age in one.ages_ms], floor, every))
    figures += [
        at_least("four streams: frames/s / the most bare session.run does", every / min(most, 4 * 30), 0.85),
        at_least("four streams: the least one's share", min(one.per_second for one in four) / (every / 4), 0.7),
    ]
    return rows, figures


def _page(ours: Served, shown: Pictures, seconds: float, say: Callable[[str], None]) -> tuple[list[Row], list[Figure]]:
    """From the browser's camera to the overlay on screen; nothing where there is no browser."""
    try:
        seen = watch_page(ours, shown, seconds)
    except RuntimeError as error:
        say(f"the viewer page is left out: {error}")
        return [], []
    told = replace(row("viewer: camera to overlay on screen", seen.page_ms), per_second=len(seen.page_ms) / seconds)
    late = told.p50 / seen.allowed_ms
    return [told], [at_most("viewer: p50 / (1.5 x the server's own + 1 frame)", late, 1)]


def _aged(name: str, ages_ms: Sequence[float], floor: float, per_second: float) -> Row:
    return replace(row(f"{name}: age of the answer", ages_ms, floor), per_second=round(per_second, 1))


def _overload(ours: Served, shown: Pictures, seconds: float, unloaded: list[float]) -> list[Figure]:
    """Ten times as many clients as it works on at once: what is accepted is in time, the rest is refused."""
    before = ours.usage().memory_mb
    clients = 10 * choice_of(Settings()).workers
    got = crowd(ours, shown, clients, seconds)
    late = float(np.percentile(got.taken_ms, 99)) / float(np.percentile(unloaded, 99))
    refused = got.refused / max(got.refused + len(got.taken_ms), 1)
    return [
        at_most(f"overload by {clients} clients: accepted p99 / unloaded p99", late, 3),
        at_most("overload: memory grown, MB", ours.usage().memory_mb - before, 50),
        Figure("overload: share told 503", round(refused, 3), "", None),
    ]


def _machine(session: Session) -> str:
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GiB; {session.spec.name} {session.spec.version}; "
        f"{SIZE[0]}x{SIZE[1]} JPEG frames"
    )
