"""How a real server begins, waits for requests, tells what it does, and ends."""

import http.client
import os
import re
import socket
from contextlib import closing

import pytest

from serving.heads import MAX_HEAD_BYTES
from tests.flow.conftest import connected, serving, started
from tests.flow.test_command import hipsono
from tests.flow.test_gate import JPEG_HEAD, begun, post
from tests.waiting import PATIENCE_S

WHOLE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def impatient():
    """(host, port) of a server that waits 3 s for a head."""
    with serving("serve", HIPSONO_DEADLINE_MS="3000") as (_, address):
        host, _, port = address.removeprefix("http://").partition(":")
        yield host, int(port)


@pytest.mark.parametrize("sent", [b"", b"GET /heal", WHOLE[:-2]], ids=["nothing", "half a line", "no end"])
def test_a_connection_whose_request_does_not_come_is_given_up(impatient, sent):
    with closing(socket.create_connection(impatient, PATIENCE_S)) as silent:
        silent.sendall(sent)
        assert silent.recv(1) == b""


def test_a_second_request_that_does_not_come_is_given_up_too(impatient):
    with closing(socket.create_connection(impatient, PATIENCE_S)) as kept:
        kept.sendall(WHOLE)
        assert kept.recv(65_536).startswith(b"HTTP/1.1 200")
        kept.sendall(b"GET /heal")
        assert kept.recv(1) == b""


def test_whoever_sends_its_head_slowly_but_in_time_is_answered(impatient):
    with closing(socket.create_connection(impatient, PATIENCE_S)) as slow:
        for at in range(0, len(WHOLE), 10):
            slow.sendall(WHOLE[at : at + 10])
        assert slow.recv(65_536).startswith(b"HTTP/1.1 200")


def test_a_head_without_an_end_is_refused(server):
    host, _, port = server.removeprefix("http://").partition(":")
    with closing(socket.create_connection((host, int(port)), PATIENCE_S)) as endless:
        endless.sendall(b"GET / HTTP/1.1\r\n")
        for _ in range(MAX_HEAD_BYTES // 1000 + 1):
            endless.sendall(b"X-Long: " + b"x" * 990 + b"\r\n")
        assert endless.recv(65_536).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("verb", [["serve"], ["demo"], ["listen", "-o", "{out}"], ["watch"]], ids=lambda v: v[0])
def test_a_port_that_is_taken_is_told(verb, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = hipsono(*(word.format(out=tmp_path / "out") for word in verb), "--port", taken.getsockname()[1])
    assert refused.returncode == 2
    assert "cannot listen on 127.0.0.1:" in refused.stderr and "give a free port" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "out").exists()


def test_the_environment_tells_the_port_where_the_command_does_not():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = hipsono("serve", env={**os.environ, "HIPSONO_PORT": port})
    assert f"cannot listen on 127.0.0.1:{port}" in refused.stderr


def test_it_ends_though_an_upload_and_a_stream_are_open(picture):
    process, address = started("serve")
    host = address.removeprefix("http://")
    with closing(begun(host, 1000, JPEG_HEAD)), connected(f"ws://{host}/v1/stream"):
        assert post(host, picture)[0] == 200
        process.terminate()
        assert process.wait(PATIENCE_S / 2) is not None


def test_its_log_tells_when_and_no_fault_where_there_is_none(tmp_path, picture):
    log = tmp_path / "log"
    with log.open("w") as stderr:
        process, address = started("serve", stderr=stderr)
        host = address.removeprefix("http://")
        with pytest.raises(Exception, match="404"), connected(f"ws://{host}/v1/nothing"):
            pass
        with closing(begun(host, 1000, JPEG_HEAD)):
            pass  # it leaves before its upload is whole
        assert post(host, picture)[0] == 200
        process.terminate()
        process.wait(PATIENCE_S)
    lines = log.read_text().splitlines()
    assert lines
    assert [line for line in lines if not re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} INFO ", line)] == []


def test_the_head_of_an_answer_can_be_asked_for_alone(server):
    with closing(http.client.HTTPConnection(server.removeprefix("http://"), timeout=PATIENCE_S)) as one:
        one.request("HEAD", "/v1/model")
        answer = one.getresponse()
        assert (answer.status, answer.read()) == (200, b"")
        assert int(answer.headers["content-length"]) > 100
