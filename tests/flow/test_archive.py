"""`hipsono grade` killed at any moment ends, gone on with, in the tables of a run that nobody killed."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time

import pytest

from datasets.dicom_write import write_dicom
from datasets.phantom.cine import cine
from model.anatomy import HIP_VIEWS
from tests.flow.conftest import ROOT
from tests.flow.test_command import hipsono

KILLS = int(os.environ.get("HIPSONO_KILLS", "2"))
SMALLER_THAN_A_PICTURE, SMALLER_THAN_A_TABLE, SMALLER_THAN_A_NOTE = 36_000, 25_000, 800
TABLES = ("readings", "hips", "failures")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    for k in range(12):
        write_dicom(list(cine(3_210_000 + k, HIP_VIEWS[k % 3], 4)), folder / f"{k:02d}.dcm")
    (folder / "cut.dcm").write_bytes((folder / "00.dcm").read_bytes()[:4000])
    return folder


@pytest.fixture(scope="module")
def whole(archive, tmp_path_factory):
    """The tables of a run that nobody killed, and how long it took."""
    out, began = tmp_path_factory.mktemp("whole"), time.monotonic()
    done = hipsono("grade", archive, "-o", out)
    assert done.returncode == 1, done.stderr
    assert "cut.dcm" in done.stderr
    return contents(out), time.monotonic() - began


def contents(out):
    return {table: (out / f"{table}.parquet").read_bytes() for table in TABLES}


def killed(archive, out, after_s):
    """Starts a run and kills it with all its processes. The names of the studies' parts that are done then."""
    command = [sys.executable, str(ROOT / "hipsono.py"), "grade", str(archive), "-o", str(out)]
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    time.sleep(after_s)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    parts = out / "parts"
    return {path.name for path in parts.iterdir() if path.name[0] != "."} if parts.is_dir() else set()


@pytest.mark.parametrize("trial", range(KILLS))
def test_killed_at_a_random_moment(archive, whole, tmp_path, trial):
    tables, seconds = whole
    out = tmp_path / "out"
    done = killed(archive, out, random.Random(trial).uniform(0.2, 1.0) * seconds)
    recorded = {name: (out / "parts" / name).stat().st_mtime_ns for name in done}
    ended = hipsono("grade", archive, "-o", out, "--resume")
    assert ended.returncode == 1, ended.stderr
    assert contents(out) == tables
    assert all((out / "parts" / name).stat().st_mtime_ns == at for name, at in recorded.items()), "nothing read twice"
    outcome = json.loads((out / "run.json").read_text())["outcome"]
    assert outcome["frames"] == 48 and outcome["read_now"] == 4 * (12 - len(done))


def test_a_run_is_not_begun_over_another_and_a_missing_archive_is_named(archive, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes").write_text("mine")
    refused = hipsono("grade", archive, "-o", tmp_path / "out")
    assert refused.returncode == 2 and "not empty" in refused.stderr
    missing = hipsono("grade", tmp_path / "nothing", "-o", tmp_path / "new")
    assert missing.returncode == 2 and "no archive" in missing.stderr


def test_on_a_full_disk(archive, whole, tmp_path):
    tables, out = whole[0], tmp_path / "out"

    def resumed(most_bytes=resource.RLIM_INFINITY):
        """Goes on where no file may grow beyond so many bytes: every write beyond them fails as on a full disk."""
        limit = (most_bytes, most_bytes)
        return hipsono(
            "grade", archive, "-o", out, "--resume", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        )

    full = resumed(SMALLER_THAN_A_PICTURE)
    assert full.returncode == 2 and "File too large" in full.stderr
    assert not list(out.glob("*.parquet"))
    ended = resumed()
    assert ended.returncode == 1, ended.stderr
    assert contents(out) == tables
    for limit in (SMALLER_THAN_A_TABLE, SMALLER_THAN_A_NOTE):
        full = resumed(limit)
        assert full.returncode == 2 and "File too large" in full.stderr
        assert contents(out) == tables
        assert json.loads((out / "run.json").read_text())["archive"] == str(archive)
    assert resumed().returncode == 1
    assert contents(out) == tables
    assert json.loads((out / "run.json").read_text())["outcome"]["read_now"] == 0
