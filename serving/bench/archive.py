"""How fast an archive is graded, beside decoding alone and the network alone, and what memory it takes."""

import os
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pydicom
from pydicom.uid import generate_uid

from datasets.dicom import read_dicom
from datasets.dicom_write import write_dicom
from datasets.phantom.cine import cine
from datasets.workers import worker_pool
from model.anatomy import HIP_VIEWS
from model.runtime import Execution, Session
from serving.archive.run import Job, Progress, grade
from serving.bench.clients import rate
from serving.bench.figures import Figure, at_least, at_most
from serving.bench.pictures import pictures
from serving.settings import Settings
from serving.tuning import choice_of, execution_of

_SEED: Final = 3_300_000
_DISTINCT: Final = 12
_FRAMES_A_CINE: Final = 25
_NETWORK_S: Final = 8.0
_SMALL: Final = 1_000
_LOOK_EVERY_S: Final = 0.5


def bench_archive(frames: int, settings: Settings, say: Callable[[str], None]) -> tuple[Figure, ...]:
    """Grades a phantom archive of so many frames, and one of 1,000: the rate to its limit, memory to memory."""
    cores, execution = os.cpu_count() or 1, execution_of(settings, choice_of(settings).provider)
    with tempfile.TemporaryDirectory() as folder:
        say(f"an archive of {frames} frames")
        small, large = (_archive(Path(folder) / name, count) for name, count in (("s", _SMALL), ("l", frames)))
        say("decoding alone, the network alone")
        decoded, networked = _decoded_rate(large, cores), _network_rate(settings.model, execution, cores)
        say("graded")
        little = _graded(Job(small, Path(folder) / "small", settings.model, execution=execution))
        much = _graded(Job(large, Path(folder) / "large", settings.model, execution=execution))
        looks = _looks_a_frame(Path(folder) / "large")
    limit = min(decoded, networked / looks)
    return (
        Figure("decoding alone, frames/s", round(decoded, 1), "", None),
        Figure("session.run alone, runs/s", round(networked, 1), "", None),
        Figure("runs a frame: looks taken", round(looks, 2), "", None),
        Figure("hipsono grade, frames/s", round(much.per_second, 1), "", None),
        at_least("hipsono grade / the slower of them", much.per_second / limit, 0.85),
        at_most(f"memory with {frames} frames / with {_SMALL}", much.peak_mb / little.peak_mb, 1.1),
        Figure("memory at its highest, MB", round(much.peak_mb), "", None),
    )


@dataclass(slots=True)
class _Rate:
    """Frames a second after the first tenth of the studies: by then every process has its network. Memory in MB."""

    marks: list[Progress] = field(default_factory=list)
    peak_mb: float = 0.0

    @property
    def per_second(self) -> float:
        first, last = self.marks[len(self.marks) // 10], self.marks[-1]
        return (last.frames - first.frames) / (last.seconds - first.seconds)


def _archive(folder: Path, frames: int) -> Path:
    """Cines of phantoms, some of them under several names: a reader cannot know."""
    folder.mkdir()
    for k in range(-(-frames // _FRAMES_A_CINE)):
        path = folder / f"{k:05d}.dcm"
        if k < _DISTINCT:
            write_dicom(list(cine(_SEED + k, HIP_VIEWS[k % 3], _FRAMES_A_CINE)), path)
            continue
        again = pydicom.dcmread(folder / f"{k % _DISTINCT:05d}.dcm")
        again.StudyInstanceUID, again.SOPInstanceUID = generate_uid(), generate_uid()
        again.file_meta.MediaStorageSOPInstanceUID = again.SOPInstanceUID
        again.save_as(path)
    return folder


def _decoded_rate(archive: Path, cores: int) -> float:
    files = sorted(archive.iterdir())
    with worker_pool(cores) as pool:
        list(pool.map(_decode, files[:cores]))
        began = time.perf_counter()
        frames = sum(pool.map(_decode, files, chunksize=4))
        return frames / (time.perf_counter() - began)


def _decode(path: Path) -> int:
    return sum(1 for _ in read_dicom(path).frames())


def _network_rate(model: Path, execution: Execution, cores: int) -> float:
    session = Session(model, 1, execution)
    shown = pictures(session.spec)
    return rate(lambda k: session.run(shown.input(k)), cores, _NETWORK_S)


def _looks_a_frame(out: Path) -> float:
    return float(pc.mean(pq.read_table(out / "readings.parquet", columns=["looks"])["looks"]).as_py())


def _graded(job: Job) -> _Rate:
    seen, done = _Rate(), threading.Event()
    watcher = threading.Thread(target=_watch_memory, args=(seen, done))
    watcher.start()
    try:
        grade(job, lambda _: None, seen.marks.append)
    finally:
        done.set()
        watcher.join()
    return seen


def _watch_memory(seen: _Rate, done: threading.Event) -> None:
    mine = psutil.Process()
    while not done.wait(_LOOK_EVERY_S):
        held = 0
        for one in (mine, *mine.children(recursive=True)):
            try:
                held += one.memory_info().rss
            except psutil.Error:
                continue
        seen.peak_mb = max(seen.peak_mb, held / 1e6)
