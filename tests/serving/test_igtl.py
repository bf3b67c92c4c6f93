"""An address, an image message, and what is answered."""

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pyigtl
import pytest

from datasets.files import FrameOptions
from datasets.picture import UnreadableFile
from model.anatomy import View
from serving.cines import RunningCine
from serving.igtl import READING, _answered, answers, frame_of_image, parse_peer
from serving.wire import Peer, PeerLeft, Wire, wires
from tests.waiting import PATIENCE_S


@pytest.mark.parametrize(
    ("connect", "listen", "told"),
    [
        (None, 70_000, "1 to 65535"),
        ("localhost:0", None, "1 to 65535"),
        ("localhost", None, "HOST:PORT"),
        (None, None, "one of them"),
        ("localhost:18944", 18944, "one of them"),
    ],
)
def test_a_wrong_address_is_refused(connect, listen, told):
    with pytest.raises(ValueError, match=told):
        parse_peer(connect, listen, "127.0.0.1")


def test_addresses_of_both_kinds_are_parsed():
    assert parse_peer("slicer.local:18944", None, "") == Peer("slicer.local", 18944)
    assert parse_peer("[::1]:18944", None, "") == Peer("::1", 18944)
    assert parse_peer(None, 18944, "0.0.0.0") == Peer("0.0.0.0", 18944, listen=True)


def test_a_name_that_is_nobodys_cannot_be_listened_on():
    with pytest.raises(OSError, match=r"cannot listen on no\.such\.host\.invalid:18944"):
        next(wires(Peer("no.such.host.invalid", 18944, listen=True)))


@pytest.mark.parametrize("far", [1e12, np.nan])
def test_an_image_that_is_nowhere_is_refused(far):
    message = pyigtl.ImageMessage(np.zeros((1, 64, 64), np.uint8), np.diag([far, 1, 1, 1]), device_name="far")
    with pytest.raises(UnreadableFile, match="matrix"):
        frame_of_image(message)


def test_words_outside_ascii_are_told_in_ascii(app, samples):
    message = pyigtl.ImageMessage(samples[View.LONGITUDINAL].frame.grey[None], np.diag([0.17, 0.17, 1, 1]))
    frame, cine = frame_of_image(message), RunningCine(app.state.engine.reader)
    reading = cine.read(frame, 0)
    trained = replace(reading, model=replace(reading.model, trained_on="Hüften aus Zürich"))
    told = {answer.device_name: answer for answer in answers(message, frame, trained, cine)}
    assert told[READING].pack()
    assert json.loads(told[READING].string)["model"]["trained_on"] == "Hüften aus Zürich"


def test_a_peer_of_ever_new_names_is_let_go():
    ours, theirs = socket.socketpair()
    with theirs, Wire(ours) as wire:
        for count in range(17):
            theirs.sendall(pyigtl.ImageMessage(np.zeros((1, 32, 32), np.uint8), device_name=f"image {count}").pack())
        with pytest.raises(PeerLeft, match="16 names"):
            for _ in wire.images():
                pass


def test_a_fault_in_one_image_does_not_silence_the_link(app, samples, monkeypatch, capsys):
    ours, theirs = socket.socketpair()
    reader, grey = app.state.engine.reader, samples[View.LONGITUDINAL].frame.grey
    stumbled = threading.Event()

    def follow(*told):
        if stumbled.is_set():
            return type(reader).follow(reader, *told)
        stumbled.set()
        raise KeyError("no such thing")

    def peer():
        theirs.sendall(pyigtl.ImageMessage(grey[None], device_name="first").pack())
        stumbled.wait(PATIENCE_S)
        theirs.sendall(pyigtl.ImageMessage(grey[None], device_name="second").pack())
        while theirs.recv(65_536):
            pass

    monkeypatch.setattr(reader, "follow", follow)
    with ThreadPoolExecutor() as beside, theirs:
        ended = beside.submit(peer)
        with Wire(ours) as wire:
            assert next(_answered(wire, reader, FrameOptions())).view.name is View.LONGITUDINAL
        ended.result(PATIENCE_S)
    assert "KeyError while reading image 0, which is passed over" in capsys.readouterr().err
