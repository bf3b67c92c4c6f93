"""Workers begin as told and end with their parent, however it ends."""

import os
import signal
import subprocess
import sys
import time

from datasets.workers import worker_pool
from tests.waiting import until

PARENT = """
import os, sys, time
from datasets.workers import worker_pool

def pid(_):
    return os.getpid()

if __name__ == "__main__":
    with worker_pool(1) as pool:
        print(pool.submit(pid, 0).result(), flush=True)
        pool.submit(time.sleep, 600).result()
"""


def is_there(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] != "Z"


def ended_by(how, tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    with subprocess.Popen([sys.executable, str(script)], env=env, stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        time.sleep(0.5)
        assert is_there(worker)
        parent.send_signal(how)
        parent.wait()
    return worker


def test_workers_end_when_their_parent_is_killed(tmp_path):
    worker = ended_by(signal.SIGKILL, tmp_path)
    until(lambda: not is_there(worker))


def test_workers_end_when_their_parent_is_told_to_stop(tmp_path):
    worker = ended_by(signal.SIGTERM, tmp_path)
    until(lambda: not is_there(worker))


def begin(name, value):
    os.environ[name] = value


def told(name):
    return os.environ.get(name)


def test_a_worker_begins_as_told():
    with worker_pool(1, begin, "HIPSONO_BEGUN", "so") as pool:
        assert pool.submit(told, "HIPSONO_BEGUN").result() == "so"
    assert "HIPSONO_BEGUN" not in os.environ
