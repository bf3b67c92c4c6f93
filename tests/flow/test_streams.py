"""Streams of a real server process, by a real client: many at once, and what a client can do wrong."""

import asyncio
import http.client
import json
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack, contextmanager

import psutil
import pytest
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed

from tests.flow.conftest import ROOT, connected, serving
from tests.waiting import PATIENCE_S, until

STREAMS = 5
TURNS = 25
KEPT_BYTES = 60e6
"""What the frames of each half of a flood would take, were they kept."""


@pytest.fixture(scope="module")
def narrow():
    """A server of few streams and small messages, as process and host:port."""
    with serving("serve", HIPSONO_MAX_STREAMS=str(STREAMS), HIPSONO_MAX_FRAME_MB="1") as (process, address):
        yield process, address.removeprefix("http://")


def answered(stream, data):
    stream.send(data)
    return json.loads(stream.recv(timeout=PATIENCE_S))


@contextmanager
def seated(narrow, picture):
    """A stream that has a place, by its first answer: those that streams before it have left come back soon."""
    with ExitStack() as tried:

        def seat():
            stream = tried.enter_context(connected(f"ws://{narrow[1]}/v1/stream"))
            try:
                answered(stream, picture)
            except ConnectionClosed as told:
                if told.rcvd.code != 1013:
                    raise
                return None
            return stream

        yield until(seat)


def test_busy_streams_share_with_one_another_and_with_a_request(narrow, picture):
    _, address = narrow
    client = http.client.HTTPConnection(address, timeout=PATIENCE_S)
    got: Counter[int] = Counter()

    def posted():
        client.request("POST", "/v1/frames", picture, {"Content-Type": "image/jpeg"})
        answer = client.getresponse()
        answer.read()
        return answer.status

    def goes_on():
        return max(got.values(), default=0) < TURNS

    async def stream(mine, together):
        async with connect_async(f"ws://{address}/v1/stream", compression=None, open_timeout=PATIENCE_S) as opened:
            await together.wait()
            while goes_on():
                await opened.send(picture)
                got[mine] += json.loads(await opened.recv())["schema"]

    async def requests(together):
        await together.wait()
        while goes_on():
            got[-1] += await asyncio.to_thread(posted) == 200

    async def every():
        together = asyncio.Barrier(1 + STREAMS)
        await asyncio.gather(requests(together), *(stream(mine, together) for mine in range(STREAMS)))

    asyncio.run(every())
    shares = [got[mine] for mine in range(STREAMS)]
    assert min(shares) > 0.7 * sum(shares) / STREAMS
    assert got[-1] > 0.5 * min(shares), "a request waits its turn and no longer"


def test_more_streams_than_the_server_takes_are_told_so(narrow, picture):
    with ExitStack() as others:
        held = [others.enter_context(seated(narrow, picture)) for _ in range(STREAMS)]
        with connected(f"ws://{narrow[1]}/v1/stream") as refused, pytest.raises(ConnectionClosed) as told:
            refused.recv(timeout=PATIENCE_S)
        assert told.value.rcvd.code == 1013
        assert "HIPSONO_MAX_STREAMS" in told.value.rcvd.reason
        held[0].close()
        with seated(narrow, picture):
            pass


def test_a_cut_off_picture_is_answered_and_the_stream_goes_on(narrow, picture):
    with seated(narrow, picture) as stream:
        told = answered(stream, picture[: len(picture) // 3])
        assert (told["status"], told["seq"], told["dropped"]) == (422, 1, 0)
        assert "cut" in told["detail"] or "decode" in told["detail"] or "broken" in told["detail"]
        assert answered(stream, picture)["seq"] == 2


def test_a_message_that_is_too_large_closes_with_1009(narrow, picture):
    with seated(narrow, picture) as stream, pytest.raises(ConnectionClosed) as told:
        answered(stream, b"\xff" * 1_100_000)
    assert told.value.rcvd.code == 1009
    with seated(narrow, picture):
        pass


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
    with seated(narrow, picture):
        pass


def test_a_client_that_takes_no_answers_costs_no_memory(narrow, picture):
    """Answers wait in the sockets until those are full; frames go on coming, and the newest wins."""
    process, address = narrow
    weight = psutil.Process(process.pid)
    bare = shaken(address, receive_bytes=4096)
    whole, sent, before = binary(picture), 0, 0
    try:
        for _ in range(2):
            for _ in range(round(KEPT_BYTES / len(whole))):
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
    bare.settimeout(PATIENCE_S)
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
        elif head[0] & 15 == 9:
            bare.sendall(bytes([0x8A, 0x80 | size]) + bytes(4) + body)  # a pong: who gives none is taken for gone
    return numbers, dropped


def test_the_example_of_the_documentation_runs(narrow, picture, tmp_path):
    code = (ROOT / "docs" / "live.md").read_text().split("```python\n")[1].split("```")[0]
    (tmp_path / "frames").mkdir()
    for name in ("0.jpg", "1.jpg"):
        (tmp_path / "frames" / name).write_bytes(picture)
    (tmp_path / "frames" / "2.jpg").write_bytes(b"no picture")
    command = [sys.executable, "-c", code.replace("127.0.0.1:8000", narrow[1])]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    settled, *told = done.stdout.splitlines()
    assert json.loads(settled) == {"settings": "ok"}
    assert [line.split()[0] for line in told] == ["0", "1", "2"]
    assert "anterior_longitudinal" in told[1] and "neither JPEG" in told[2]
