"""OpenIGTLink as it is used: peers come, leave and come back, are slow, far away, or send what is no message."""

import json
import socket
import time
from contextlib import closing, contextmanager, suppress

import cv2
import numpy as np
import psutil
import pyigtl
import pytest

from datasets.phantom.cine import cine
from model.anatomy import View
from tests.flow.conftest import free_port
from tests.flow.test_command import hipsono
from tests.flow.test_intakes import SEED, ended, running
from tests.waiting import PATIENCE_S, until

HEADER = pyigtl.messages.MessageBase.IGTL_HEADER_SIZE
WAYS = ["listen", "connect"]
SENT = 30


@pytest.fixture(scope="module")
def sonogram():
    return next(iter(cine(SEED, View.LONGITUDINAL, 1))).frame.grey


def packed(pixels, at_s=None):
    matrix = np.diag([0.17, 0.17, 1, 1])
    return pyigtl.ImageMessage(pixels[None], matrix, timestamp=at_s, device_name="Image_Reference").pack()


def exactly(peer, count, pause_s=0.0):
    taken = bytearray()
    while len(taken) < count:
        piece = peer.recv(min(count - len(taken), 1 << 16))
        assert piece, f"the link was closed after {len(taken)} of {count} bytes"
        taken += piece
        time.sleep(pause_s)
    return bytes(taken)


def answered(peer, pause_s=0.0):
    """The whole answer to one image, by device: overlay, points where there are any, and the Reading."""
    told = {}
    while "hipsono_reading" not in told:
        fields = pyigtl.messages.MessageBase.parse_header(exactly(peer, HEADER))
        body = exactly(peer, fields["body_size"], pause_s)
        message = pyigtl.messages.MessageBase.create_message(fields["message_type"])
        message.unpack(fields, body)
        told[message.device_name] = message
    return told


def reading_of(told):
    return json.loads(told["hipsono_reading"].string)


def asked(peer, pixels):
    peer.sendall(packed(pixels))
    return answered(peer)


def reached(host, port):
    return until(lambda: called(host, port))


def called(host, port):
    with suppress(OSError):
        return socket.create_connection((host, port), timeout=PATIENCE_S)


def gone(peer):
    try:
        return peer.recv(1) == b""
    except ConnectionResetError:
        return True


class Meeting:
    """Where both ends meet: `next()` is the next connection, whichever end calls."""

    def __init__(self, way):
        self.port = free_port()
        self.server = socket.create_server(("127.0.0.1", self.port)) if way == "connect" else None
        self.words = ("--listen", self.port) if way == "listen" else ("--connect", f"127.0.0.1:{self.port}")

    def next(self):
        if self.server is None:
            return reached("127.0.0.1", self.port)
        self.server.settimeout(PATIENCE_S)
        peer, _ = self.server.accept()
        peer.settimeout(PATIENCE_S)
        return peer


@contextmanager
def linked(*words):
    process = running("igtl", *words)
    try:
        yield process
    finally:
        talk = ended(process)[1] if process.poll() is None else process.communicate()[1]
    assert "Traceback" not in talk


@pytest.mark.parametrize("way", WAYS)
def test_a_peer_that_leaves_is_answered_when_it_comes_back_and_begins_a_new_cine(sonogram, way):
    meeting = Meeting(way)
    with linked(*meeting.words):
        for _ in range(3):
            with closing(meeting.next()) as peer:
                assert reading_of(asked(peer, sonogram))["cine"]["frames"] == 1
                # A reading that takes longer than a cine may pause is followed by a new cine's first.
                until(lambda peer=peer: reading_of(asked(peer, sonogram))["cine"]["frames"] == 2)


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_computed_while_no_peer_is_there(sonogram, way):
    meeting = Meeting(way)
    with linked(*meeting.words) as process:
        with closing(meeting.next()) as peer:
            asked(peer, sonogram)
        if meeting.server is not None:
            meeting.server.close()
        time.sleep(0.5)
        watched = psutil.Process(process.pid)
        before = watched.cpu_times()
        time.sleep(3)
        after = watched.cpu_times()
    assert (after.user + after.system) - (before.user + before.system) < 0.15


def test_a_large_picture_is_answered_whole_to_a_slow_peer(sonogram):
    large = cv2.resize(sonogram, (1920, 1080))
    meeting = Meeting("listen")
    with linked(*meeting.words), closing(meeting.next()) as peer:
        for _ in range(2):
            peer.sendall(packed(large))
            told = answered(peer, pause_s=0.003)
            assert told["hipsono_overlay"].image.shape == (1, 1080, 1920, 3)
            assert reading_of(told)["frame"]["width"] == 1920


def test_a_peer_that_sends_faster_than_it_reads_is_answered_on_its_newest_image(sonogram):
    meeting = Meeting("listen")
    with linked(*meeting.words), closing(meeting.next()) as peer:
        asked(peer, sonogram)
        for at_s in range(1, SENT + 1):
            peer.sendall(packed(sonogram, at_s))
        told = [answered(peer)["hipsono_reading"].timestamp]
        while told[-1] < SENT:
            told.append(answered(peer)["hipsono_reading"].timestamp)
    assert told == sorted(set(told))
    assert len(told) < 0.75 * SENT


@pytest.mark.parametrize(("host", "calls"), [("localhost", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "::1")])
def test_any_address_and_name_can_be_listened_on(sonogram, host, calls):
    if ":" in host:
        try:
            socket.create_server((host, 0), family=socket.AF_INET6).close()
        except OSError:
            pytest.skip("no IPv6 here")
    port = free_port()
    with linked("--listen", port, "--host", host), closing(reached(calls, port)) as peer:
        assert reading_of(asked(peer, sonogram))["view"]["name"] == "anterior_longitudinal"


def test_a_peer_is_called_by_its_name(sonogram):
    meeting = Meeting("connect")
    with linked("--connect", f"localhost:{meeting.port}"), closing(meeting.next()) as peer:
        assert reading_of(asked(peer, sonogram))["view"]["name"] == "anterior_longitudinal"


def test_what_is_no_message_ends_the_connection_and_not_the_link(sonogram):
    whole = packed(np.zeros((64, 64), np.uint8))
    garbage = b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nUser-Agent: nobody/1.0\r\n\r\n"
    endless = whole[:42] + b"\xff" * 16
    not_ascii = whole[:2] + b"\xff" * 56
    meeting = Meeting("listen")
    with linked(*meeting.words):
        for sent in (garbage, endless, not_ascii, whole[:30], whole[:1000]):
            for stays in (False, True):
                with closing(meeting.next()) as peer:
                    peer.sendall(sent)
                    if stays:
                        assert gone(peer)
        with closing(meeting.next()) as peer:
            assert reading_of(asked(peer, sonogram))["view"]["name"] == "anterior_longitudinal"


def test_a_peer_that_takes_no_answers_is_let_go_for_the_next(sonogram):
    large = packed(cv2.resize(sonogram, (1920, 1080)))
    meeting = Meeting("listen")
    with linked(*meeting.words), closing(meeting.next()) as deaf:
        deaf.sendall(large)
        deaf.sendall(large)
        with closing(meeting.next()) as peer:
            assert reading_of(asked(peer, sonogram))["view"]["name"] == "anterior_longitudinal"


def test_an_image_that_cannot_be_read_is_passed_over(sonogram):
    whole = packed(sonogram)
    short = whole[:42] + (200).to_bytes(8, "big") + whole[50:258]
    empty = packed(np.zeros((0, 64), np.uint8))
    wide = packed(np.zeros((64, 64), np.uint16))
    none = pyigtl.ImageMessage(np.zeros((0, 64, 64), np.uint8), device_name="none").pack()
    strange = whole[: HEADER + 3] + b"\x63" + whole[HEADER + 4 :]
    text = pyigtl.StringMessage("hello", device_name="chat").pack()
    meeting = Meeting("listen")
    with linked(*meeting.words), closing(meeting.next()) as peer:
        for message in (short, empty, none, wide, strange, text):
            peer.sendall(message)
            assert reading_of(asked(peer, sonogram))["view"]["name"] == "anterior_longitudinal"


def test_a_port_that_is_taken_is_refused_with_its_name():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        refused = hipsono("igtl", "--listen", port)
    assert refused.returncode == 2
    assert f"127.0.0.1:{port}" in refused.stderr
    assert "Traceback" not in refused.stderr
