"""Phantoms onto the disk: a labelled data set, or DICOM files, with a progress bar."""

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
from datasets.phantom.generate import phantom, phantoms
from datasets.phantom.pool import worker_pool
from datasets.sample import Sample
from datasets.store import write_store
from model.anatomy import View

PROVENANCE: Final = "hipsono phantoms: synthetic, no patient"
LICENCE: Final = "Apache-2.0"


@dataclass(frozen=True, slots=True)
class PhantomOrder:
    """`count` phantoms of consecutive seeds; `cine_frames` above 0 makes each a cine."""

    count: int
    seed: int
    view: View | None = None
    cine_frames: int = 0
    dicom: bool = False

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
    samples = _cines(order) if order.cine_frames else phantoms(order.seeds, order.view, workers)
    total = order.count * max(order.cine_frames, 1)
    shown = track(samples, "phantoms", total, console=console, disable=not sys.stderr.isatty())
    return write_store(shown, folder, provenance=PROVENANCE, licence=LICENCE)


def _cines(order: PhantomOrder) -> Iterator[Sample]:
    for seed in order.seeds:
        yield from cine(seed, order.view, order.cine_frames)


def _write_dicom(order: PhantomOrder, folder: Path, seed: int) -> None:
    frames = cine(seed, order.view, order.cine_frames) if order.cine_frames else iter([phantom(seed, order.view)])
    write_dicom(list(frames), folder / f"phantom-{seed:07d}.dcm")
