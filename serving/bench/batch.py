"""Our batch: `hipsono read` over a folder of the bench's frames, one look each as the floor has, in its own process."""

import os
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import psutil

from model.runtime import Provider
from serving.bench.figures import Row, row, weighed
from serving.bench.pictures import Pictures
from serving.bench.servers import ROOT


def read_folder(model: Path, provider: Provider, shown: Pictures, frames: int, floor_ms: float) -> Row:
    """A folder of so many frames: from one Reading to the next. Raises RuntimeError where a frame gives none."""
    with tempfile.TemporaryDirectory(prefix="hipsono-bench-") as folder:
        for k in range(frames + 1):
            (Path(folder) / f"{k:06d}.jpg").write_bytes(shown.jpeg(k))
        read = (sys.executable, str(ROOT / "hipsono.py"), "read", folder)
        command = (*read, "--looks", "1", "--model", str(model), "--provider", str(provider))
        env = {**os.environ, "PYTHONUNBUFFERED": "1"}
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE) as process:
            return _timed(process, frames, floor_ms)


def _timed(process: subprocess.Popen[bytes], frames: int, floor_ms: float) -> Row:
    """The first frame, until which the network is loaded, does not count."""
    assert process.stdout is not None, "it was asked for a pipe"
    told = psutil.Process(process.pid)
    process.stdout.readline()
    spent, at = sum(told.cpu_times()[:2]), [time.perf_counter()]
    memory_mb = 0.0
    for _ in range(frames):
        if not process.stdout.readline():
            break
        at.append(time.perf_counter())
        memory_mb = max(memory_mb, told.memory_info().rss / 1e6)
        used = sum(told.cpu_times()[:2]) - spent
    if process.wait() != 0 or len(at) <= frames:
        raise RuntimeError(f"hipsono read told {len(at)} of {frames + 1} frames")
    taken = [1e3 * (after - before) for before, after in pairwise(at)]
    found = row("hipsono read: a folder", taken, floor_ms)
    return weighed(found, used / frames, memory_mb, frames / (at[-1] - at[0]))
