"""What the viewers of a watched source are told: one bad picture ends nothing, who has left is noticed."""

import time
from contextlib import ExitStack

import cv2
import numpy as np
import orjson
import pytest
from fastapi import FastAPI, WebSocketDisconnect
from fastapi.testclient import TestClient

from datasets.files import FrameOptions
from model.anatomy import View
from serving.capture import Grab, Source, parse_size
from serving.watch import Answer, Notice, Showing, answers, watch_router
from tests.waiting import until


class Grabbed:
    """What was grabbed, one after another."""

    def __init__(self, *pictures):
        self.pictures = pictures

    def grabs(self):
        for seq, picture in enumerate(self.pictures):
            yield None if picture is None else Grab(picture, seq, time.perf_counter(), 0)


def test_one_bad_picture_or_a_silence_ends_nothing(app, samples):
    good, bad = samples[View.LONGITUDINAL].frame.grey, np.zeros((4, 4), np.uint8)
    grabbed = Grabbed(good, bad, None, good)
    told = list(answers(grabbed, app.state.engine.reader, FrameOptions(), "/dev/video0"))
    assert [type(one) for one in told] == [Answer, Notice, Notice, Answer]
    bodies = [orjson.loads(one.body) for one in told]
    assert (bodies[1]["status"], bodies[1]["seq"]) == (500, 1)
    assert "picture 1" in bodies[1]["detail"]
    assert bodies[2]["watch"] == "silent" and "/dev/video0" in bodies[2]["detail"]
    assert bodies[3]["seq"] == 3


def test_who_has_left_is_noticed_though_nothing_is_sent():
    showing, app = Showing(), FastAPI()
    app.include_router(watch_router(showing, 1))
    with TestClient(app) as client, client.websocket_connect("/v1/watch") as viewer:
        until(lambda: showing.lookers == 1)
        viewer.close()
        until(lambda: showing.lookers == 0)


def test_more_viewers_than_the_server_takes_are_told_so():
    showing, app = Showing(), FastAPI()
    app.include_router(watch_router(showing, 2))
    with TestClient(app) as client:
        with client.websocket_connect("/v1/watch"), client.websocket_connect("/v1/watch"):
            with client.websocket_connect("/v1/watch") as third, pytest.raises(WebSocketDisconnect) as told:
                third.receive_text()
            assert told.value.code == 1013
            assert "HIPSONO_MAX_VIEWERS" in told.value.reason
        showing.end(Notice(b'{"watch": "ended"}', "over"))
        with client.websocket_connect("/v1/watch") as later:
            assert orjson.loads(later.receive_text())["watch"] == "ended", "who has left gave the seat back"


def test_a_picture_is_encoded_once_for_all_who_look(app, samples, monkeypatch):
    drawn = []
    monkeypatch.setattr("serving.watch.encode_jpeg", lambda frame: drawn.append(frame) or b"jpeg")
    showing, viewed = Showing(), FastAPI()
    viewed.include_router(watch_router(showing, 3))
    (answer,) = answers(Grabbed(samples[View.LONGITUDINAL].frame.grey), app.state.engine.reader, FrameOptions(), "0")
    showing.put(answer)
    with TestClient(viewed) as client, ExitStack() as looking:
        viewers = [looking.enter_context(client.websocket_connect("/v1/watch")) for _ in range(3)]
        for viewer in viewers:
            assert orjson.loads(viewer.receive_text())["seq"] == 0
            assert viewer.receive_bytes() == b"jpeg"
    assert len(drawn) == 1


def test_a_driver_is_asked_for_the_codec_before_the_size():
    asked = Source("0", (1920, 1080), 30, "MJPG").asked()
    named = (cv2.CAP_PROP_FOURCC, cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS)
    assert asked == tuple(zip(named, (cv2.VideoWriter.fourcc(*"MJPG"), 1920, 1080, 30), strict=True))
    assert Source("/dev/video0").asked() == ()


def test_size_rate_and_codec_are_asked_of_a_device_only():
    assert parse_size("1280x720") == (1280, 720)
    for size in ("1280", "1280x", "0x720", "1280x720x3", "-1x5"):
        with pytest.raises(ValueError, match="WIDTHxHEIGHT"):
            parse_size(size)
    with pytest.raises(ValueError, match="MJPG"):
        Source("0", codec="JPEG2")
    for name in ("rtsp://127.0.0.1/live", "hip.mp4"):
        with pytest.raises(ValueError, match="/dev/video0"):
            Source(name, size=(640, 480))
