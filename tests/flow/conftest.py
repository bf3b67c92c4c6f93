"""A real server in a process of its own."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def started(*verb, **environment):
    """A hipsono process that serves, and its address."""
    port = free_port()
    command = [sys.executable, str(ROOT / "hipsono.py"), *verb, "--port", str(port)]
    process = subprocess.Popen(command, cwd="/", env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment})
    address = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            urllib.request.urlopen(f"{address}/readyz", timeout=1)
            return process, address
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.1)
    process.kill()
    raise RuntimeError(f"hipsono {' '.join(verb)} did not start")


@pytest.fixture(scope="session")
def server():
    process, address = started("serve")
    yield address
    process.terminate()
    process.wait(timeout=20)


@pytest.fixture(scope="session")
def demo():
    process, address = started("demo")
    yield address
    process.terminate()
    process.wait(timeout=20)
