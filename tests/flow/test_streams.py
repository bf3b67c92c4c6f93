"""Streams of a real server process, by a real client: many at once, and what a client can do wrong."""

import asyncio
import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from contextlib import ExitStack, suppress

import psutil
import pytest
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.flow.conftest import ROOT, started

STREAMS = 5


@pytest.fixture(scope="module")
def narrow():
    """A server of few streams and small messages, as process and host:port."""
    process, address = started("serve", HIPSONO_MAX_STREAMS=str(STREAMS), HIPSONO_MAX_FRAME_MB="1")
    yield process, address.removeprefix("http://")
    process.terminate()
    process.wait(timeout=20)


def answered(stream, data):
    stream.send(data)
    return json.loads(stream.recv(timeout=30))


def test_busy_streams_share_with_one_another_and_with_a_request(narrow, picture):
    _, address = narrow
    post = urllib.request.Request(f"http://{address}/v1/frames", picture, {"Content-Type": "image/jpeg"})
    got: Counter[int] = Counter()

    async def stream(mine, until):
        async with connect_async(f"ws://{address}/v1/stream", compression=None) as opened:
            while time.monotonic() < until:
                await opened.send(picture)
                got[mine] += json.loads(await opened.recv())["schema"]

    async def requests(until):
        while time.monotonic() < until:
            with await asyncio.to_thread(urllib.request.urlopen, post, timeout=30) as answer:
                got[-1] += answer.status == 200

    async def every():
        until = time.monotonic() + 4
        await asyncio.gather(requests(until), *(stream(mine, until) for mine in range(STREAMS)))

    asyncio.run(every())
    shares = [got[mine] for mine in range(STREAMS)]
    assert min(shares) > 0.7 * sum(shares) / STREAMS
    assert got[-1] > 0.5 * min(shares), "a request waits its turn and no longer"


def test_more_streams_than_the_server_takes_are_told_so(narrow, picture):
    url = f"ws://{narrow[1]}/v1/stream"
    with ExitStack() as others:
        held = [others.enter_context(connect(url)) for _ in range(STREAMS)]
        with connect(url) as refused, pytest.raises(ConnectionClosed) as told:
            refused.recv(timeout=10)
        assert told.value.rcvd.code == 1013
        assert "HIPSONO_MAX_STREAMS" in told.value.rcvd.reason
        held[0].close()
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with suppress(ConnectionClosed), connect(url) as opened:
                assert answered(opened, picture)["seq"] == 0
                return
            time.sleep(0.05)
        pytest.fail("a closed stream gave no place back")


def test_a_cut_off_picture_is_answered_and_the_stream_goes_on(narrow, picture):
    with connect(f"ws://{narrow[1]}/v1/stream") as stream:
        told = answered(stream, picture[: len(picture) // 3])
        assert (told["status"], told["seq"], told["dropped"]) == (422, 0, 0)
        assert "cut" in told["detail"] or "decode" in told["detail"] or "broken" in told["detail"]
        assert answered(stream, picture)["seq"] == 1


def test_a_message_that_is_too_large_closes_with_1009(narrow, picture):
    url = f"ws://{narrow[1]}/v1/stream"
    with connect(url) as stream, pytest.raises(ConnectionClosed) as told:
        answered(stream, b"\xff" * 1_100_000)
    assert told.value.rcvd.code == 1009
    with connect(url) as stream:
        assert answered(stream, picture)["seq"] == 0


def shaken(address, receive_bytes=None):
    """A bare socket after the WebSocket handshake."""
    host, _, port = address.partition(":")
    bare = socket.socket()
    if receive_bytes is not None:
        bare.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    bare.connect((host, int(port)))
    key = "dGhlIHNhbXBsZSBub25jZQ=="
    bare.sendall(
        f"GET /v1/stream HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    assert b" 101 " in bare.recv(1000)
    return bare


def binary(data):
    """A whole binary message as a client frames it, under a mask of noughts."""
    return b"\x82\xff" + len(data).to_bytes(8, "big") + bytes(4) + data


def test_clients_that_leave_in_mid_frame_give_their_places_back(narrow, picture):
    whole = binary(picture)
    for _ in range(3 * STREAMS):
        bare = shaken(narrow[1])
        bare.sendall(whole + whole[: len(whole) // 2])
        bare.close()
        time.sleep(0.05)
    with connect(f"ws://{narrow[1]}/v1/stream") as stream:
        assert answered(stream, picture)["seq"] == 0


def test_a_client_that_takes_no_answers_costs_no_memory(narrow, picture):
    """Answers wait in the sockets until those are full; frames go on coming, and the newest wins."""
    process, address = narrow
    weight = psutil.Process(process.pid)
    bare = shaken(address, receive_bytes=4096)
    whole, sent, before = binary(picture), 0, 0
    try:
        for began, seconds in ((time.monotonic(), 4), (time.monotonic() + 4, 4)):
            while time.monotonic() < began + seconds:
                bare.sendall(whole)
                sent += 1
                time.sleep(0.002)
            before = before or weight.memory_info().rss
        grown = weight.memory_info().rss - before
        assert grown < 20e6, f"{grown / 1e6:.0f} MB for {sent} frames of {len(picture)} bytes"
        numbers, told = numbered(bare, sent)
        assert numbers == sorted(set(numbers)) and numbers[-1] == sent - 1
        assert len(numbers) + told == sent, "what was not answered was counted"
    finally:
        bare.close()


def numbered(bare, sent):
    """The seq of every answer up to the last frame's, and how many frames were told as dropped."""
    bare.settimeout(30)
    stream = bare.makefile("rb")
    numbers, dropped = [], 0
    while not numbers or numbers[-1] < sent - 1:
        head = stream.read(2)
        size = head[1] if head[1] < 126 else int.from_bytes(stream.read(2 if head[1] == 126 else 8), "big")
        body = stream.read(size)
        if head[0] & 15 == 1:
            told = json.loads(body)
            numbers.append(told["seq"])
            dropped += told["dropped"]
    return numbers, dropped


def test_the_example_of_the_documentation_runs(narrow, picture, tmp_path):
    code = (ROOT / "docs" / "live.md").read_text().split("```python\n")[1].split("```")[0]
    (tmp_path / "frames").mkdir()
    for name in ("0.jpg", "1.jpg"):
        (tmp_path / "frames" / name).write_bytes(picture)
    (tmp_path / "frames" / "2.jpg").write_bytes(b"no picture")
    command = [sys.executable, "-c", code.replace("127.0.0.1:8000", narrow[1])]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=100)
    assert done.returncode == 0, done.stderr
    settled, *told = done.stdout.splitlines()
    assert json.loads(settled) == {"settings": "ok"}
    assert [line.split()[0] for line in told] == ["0", "1", "2"]
    assert "anterior_longitudinal" in told[1] and "neither JPEG" in told[2]
