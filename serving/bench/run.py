"""The whole bench: every way against the floor, in turn, so that a machine's moods meet all alike."""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import psutil

from datasets.files import decode_picture
from model.reading import Reader
from model.runtime import Provider, Session
from serving.bench.batch import read_folder
from serving.bench.clients import Crowd, crowd, rate
from serving.bench.figures import Figure, Report, Row, at_least, at_most, row, weighed
from serving.bench.overload import Unloaded, overload, refused_share
from serving.bench.page import watch_page
from serving.bench.pictures import SIZE, Pictures, pictures
from serving.bench.servers import ROOT, Client, Recipe, Served, Usage
from serving.bench.steadiness import steadiness
from serving.bench.streams import measure_streams
from serving.settings import Settings
from serving.tuning import choice_of, open_session

_PEERS: Final = Path(__file__).parent / "peers"
_IN_A_ROW: Final = 5
_PAUSE_S: Final = 0.06
"""After each way's turn: by then its threads have stopped waiting for more work; what they spent on that is its own."""
_FLOOR: Final = "floor: bare decode + bare session.run"
_FLOODED: Final = {"HIPSONO_MAX_STREAMS": "1000"}
"""The flood of streams is let in: by default those beyond sixteen are told to come back, which is no flood."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to measure. `overload_s` 0 leaves the flood out. `peers` are interpreters, of which each
    other server takes the first that has its package; none leave them out.
    """

    rounds: int = 200
    seconds: float = 15.0
    overload_s: float = 60.0
    peers: tuple[Path, ...] = (Path(sys.executable),)


def bench(plan: Plan, settings: Settings, say: Callable[[str], None] = print) -> Report:
    """Everything in one run. A peer that is not installed, or does not come up, is left out and named."""
    path = settings.model.resolve()
    session = open_session(settings)
    shown = pictures(session.spec)
    rows: list[Row] = []
    figures: list[Figure] = []
    with ExitStack() as stack:
        ours = stack.enter_context(Served(hipsono(path, session.provider)))
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hipsono-bench-")))
        peers = [peer for recipe in _recipes(path, plan.peers, scratch, say) for peer in _entered(stack, recipe, say)]
        say(f"one client, {plan.rounds} rounds")
        turns = _in_turn(session, shown, [ours, *peers], plan.rounds)
        floor = float(np.median(turns[_FLOOR].taken_ms))
        rows += [turn.row(floor) for turn in turns.values()]
        figures += _one_client(turns, ours, peers, floor)
        say("a folder")
        rows.append(read_folder(path, session.provider, shown, plan.rounds, floor))
        most = _most(settings, shown, plan.seconds)
        figures.append(Figure("the most bare session.run does, frames/s", round(most, 1), "", None))
        say("eight clients")
        crowds = {server.recipe.name: _crowded(server, shown, plan.seconds) for server in (ours, *peers)}
        rows += [told for told, _ in crowds.values()]
        figures += _crowd_figures({name: got for name, (_, got) in crowds.items()}, ours.recipe.name)
        say("streams")
        streamed = measure_streams(ours, shown, plan.seconds, (floor, most))
        rows, figures = rows + [*streamed.rows], figures + [*streamed.figures]
        say("the viewer page")
        told, found = _page(ours, shown, plan.seconds, say)
        rows, figures = rows + told, figures + found
        if plan.overload_s:
            say(f"overload, twice {plan.overload_s:g} s")
            calm = Unloaded(choice_of(settings).workers, most, turns[ours.recipe.name].taken_ms, streamed.ages_ms)
            figures += overload(ours, shown, plan.overload_s, calm)
    say("steadiness")
    found_still = steadiness(Reader(session))
    figures += [
        at_most("landmark jitter on still cines / unsteadied", found_still.jitter, 0.3),
        at_most("lag on moving cines, frames (worst landmark)", found_still.worst_lag, 1),
    ]
    return Report(_machine(session), tuple(rows), tuple(figures))


def hipsono(model: Path, provider: Provider) -> Recipe:
    """This server."""
    serve = (sys.executable, str(ROOT / "hipsono.py"), "serve")
    command = (*serve, "--port", "{port}", "--model", str(model), "--provider", str(provider))
    return Recipe("hipsono: POST /v1/frames", command, "/v1/frames", "/readyz", env=_FLOODED)


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


@dataclass(slots=True)
class _Turns:
    """A way of reading frames, the processor seconds and memory it has used so far, and what its turns took."""

    name: str
    read: Callable[[int], object]
    usage: Callable[[], Usage]
    taken_ms: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)

    def take(self, first: int) -> None:
        """A few frames, the first of which wakes it and is not timed."""
        before = self.usage().cpu_s
        self.read(first)
        self.taken_ms += [_timed(self.read, first + k) for k in range(_IN_A_ROW)]
        time.sleep(_PAUSE_S)
        self.cpu_s.append((self.usage().cpu_s - before) / (_IN_A_ROW + 1))

    def row(self, floor_ms: float) -> Row:
        """Its row; what this process itself holds is not told as any way's memory."""
        memory = None if self.usage is _mine else self.usage().memory_mb
        return weighed(row(self.name, self.taken_ms, floor_ms), float(np.mean(self.cpu_s)), memory)


def _mine() -> Usage:
    return Usage(time.process_time(), 0.0)


def _in_turn(session: Session, shown: Pictures, servers: list[Served], rounds: int) -> dict[str, _Turns]:
    """The floor, our reader without a server, each server by one client: in turn, a few frames each."""
    reader = Reader(session)
    ways = [
        _Turns(_FLOOR, lambda k: (_decoded(shown.jpeg(k)), session.run(shown.input(k))), _mine),
        _Turns("Reader.read, no server", lambda k: reader.read(decode_picture(shown.jpeg(k))), _mine),
        *(_Turns(server.recipe.name, _posting(server.client(), shown), server.usage) for server in servers),
    ]
    for first in range(0, rounds, _IN_A_ROW):
        for way in ways:
            way.take(first)
    return {way.name: way for way in ways}


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


def _one_client(turns: dict[str, _Turns], ours: Served, peers: list[Served], floor: float) -> list[Figure]:
    mine = float(np.median(turns[ours.recipe.name].taken_ms))
    found = [at_most("one HTTP client: p50 / floor", mine / floor, 1.25)]
    if peers:
        best = min(float(np.median(turns[peer.recipe.name].taken_ms)) for peer in peers)
        found.append(at_most("one client: p50 / best peer's", mine / best, 0.7))
    return found


def _most(settings: Settings, shown: Pictures, seconds: float) -> float:
    """The most frames a second that bare session.run can do: one after another by all cores, or a core for each."""
    session = open_session(settings)
    single = open_session(settings, replace(choice_of(settings), threads=1, workers=1))
    return max(
        rate(lambda k: session.run(shown.input(k)), 1, seconds / 2),
        rate(lambda k: single.run(shown.input(k)), os.cpu_count() or 1, seconds / 2),
    )


def _crowded(server: Served, shown: Pictures, seconds: float) -> tuple[Row, Crowd]:
    before = server.usage()
    got = crowd(server, shown, 8, seconds)
    after = server.usage()
    cpu_s = (after.cpu_s - before.cpu_s) / max(len(got.taken_ms), 1)
    told = row(f"{server.recipe.name}, eight clients", got.taken_ms)
    return weighed(told, cpu_s, after.memory_mb, got.per_second), got


def _crowd_figures(crowds: dict[str, Crowd], mine: str) -> list[Figure]:
    refused = refused_share(crowds[mine])
    found = [Figure("eight clients: share told 503", round(refused, 3), "", None)]
    others = [got.per_second for name, got in crowds.items() if name != mine]
    if others:
        found.append(at_least("eight clients: frames/s / best peer's", crowds[mine].per_second / max(others), 1.3))
    return found


def _page(ours: Served, shown: Pictures, seconds: float, say: Callable[[str], None]) -> tuple[list[Row], list[Figure]]:
    """From the browser's camera to the overlay drawn; nothing where there is no browser."""
    before = ours.usage()
    try:
        seen = watch_page(ours, shown, seconds)
    except RuntimeError as error:
        say(f"the viewer page is left out: {error}")
        return [], []
    after = ours.usage()
    told = replace(
        row("viewer: camera to overlay drawn", seen.page_ms), per_second=round(len(seen.page_ms) / seen.seconds, 1)
    )
    late = told.p50 / seen.allowed_ms
    cpu_s = (after.cpu_s - before.cpu_s) / seen.answered
    return [weighed(told, cpu_s, after.memory_mb)], [
        at_most("viewer: p50 / (1.5 x the server's own + 1 frame)", late, 1)
    ]


def _machine(session: Session) -> str:
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GiB; {session.spec.name} {session.spec.version}; "
        f"{SIZE[0]}x{SIZE[1]} JPEG frames"
    )
