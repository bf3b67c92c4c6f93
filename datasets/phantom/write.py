"""Phantoms onto the disk: a labelled data set, or DICOM files, with a progress bar."""

import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import track

from datasets.dicom_write import write_dicom
from datasets.phantom.cine import cine
from datasets.phantom.generate import draw_phantom, phantom, phantoms, wave_phantom
from datasets.phantom.renderer import Renderer
from datasets.sample import Sample
from datasets.store import write_store
from datasets.workers import worker_pool
from model.anatomy import HIP_VIEWS, View

PROVENANCE: Final = "hipsono phantoms: synthetic, no patient"
WAVE_PROVENANCE: Final = "hipsono phantoms through a wave simulator (PyMUST): synthetic, no patient"
LICENCE: Final = "Apache-2.0"


@dataclass(frozen=True, slots=True)
class PhantomOrder:
    """`count` phantoms of consecutive seeds; `cine_frames` above 0 makes each a cine.

    `wave`: through the wave simulator, hip views evenly, of the seeds from `seed` on that have a linear probe.
    `renderer`: all stills by this one. Raises ValueError for one of cines, DICOM or waves.
    """

    count: int
    seed: int
    view: View | None = None
    cine_frames: int = 0
    dicom: bool = False
    wave: bool = False
    renderer: Renderer | None = None

    def __post_init__(self) -> None:
        if self.renderer and (self.cine_frames or self.dicom or self.wave):
            raise ValueError("--renderer is for stills in a data set: leave out --cine, --dicom and --wave")

    @property
    def seeds(self) -> range:
        return range(self.seed, self.seed + self.count)


def write_phantoms(order: PhantomOrder, folder: Path, workers: int | None = None) -> int:
    """Draws the order's phantoms in parallel into a folder; returns how many frames or files were written."""
    console = Console(stderr=True)
    if order.dicom:
        folder.mkdir(parents=True, exist_ok=True)
        with worker_pool(workers) as pool:
            written = pool.map(partial(_write_dicom, order, folder), order.seeds)
            return sum(
                1 for _ in track(written, "phantoms", order.count, console=console, disable=not sys.stderr.isatty())
            )
    if order.wave:
        return write_store(_waves(order, workers), folder, provenance=WAVE_PROVENANCE, licence=LICENCE)
    samples = _cines(order) if order.cine_frames else phantoms(order.seeds, order.view, workers, order.renderer)
    total = order.count * max(order.cine_frames, 1)
    shown = track(samples, "phantoms", total, console=console, disable=not sys.stderr.isatty())
    return write_store(shown, folder, provenance=PROVENANCE, licence=LICENCE)


def _waves(order: PhantomOrder, workers: int | None) -> Iterator[Sample]:
    with worker_pool(workers) as pool:
        drawn = pool.map(wave_phantom, *zip(*wave_places(order), strict=True))
        yield from track(drawn, "wave phantoms", order.count, console=Console(stderr=True))


def wave_places(order: PhantomOrder) -> list[tuple[int, View]]:
    """Seeds with a linear probe, in order, and their views: equally many of each, or the order's own."""
    views = (order.view,) if order.view else HIP_VIEWS
    room = {view: len(range(k, order.count, len(views))) for k, view in enumerate(views)}
    places: list[tuple[int, View]] = []
    seeds = itertools.count(order.seed)
    while len(places) < order.count:
        seed = next(seeds)
        view = views[seed % len(views)]
        if room[view] and not draw_phantom(seed, view).probe.radius_mm:
            room[view] -= 1
            places.append((seed, view))
    return places


def _cines(order: PhantomOrder) -> Iterator[Sample]:
    for seed in order.seeds:
        yield from cine(seed, order.view, order.cine_frames)


def _write_dicom(order: PhantomOrder, folder: Path, seed: int) -> None:
    frames = cine(seed, order.view, order.cine_frames) if order.cine_frames else iter([phantom(seed, order.view)])
    write_dicom(list(frames), folder / f"phantom-{seed:07d}.dcm")
