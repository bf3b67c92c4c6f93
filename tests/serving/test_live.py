"""The stream: the newest frame wins, and every answer says what was skipped."""

import time
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import orjson
import pytest
from starlette.testclient import WebSocketDenialResponse

from datasets.files import decode_picture
from datasets.phantom.cine import cine
from model.anatomy import View
from serving import live
from serving.cines import RunningCine
from serving.live import StreamSettings, Waiting, parse_settings
from serving.problems import Problem
from serving.settings import Settings
from tests.serving.conftest import encoded

OTHER_HIP = 3_000_001
"""Of another grade than the longitudinal sample, in another picture."""


@pytest.fixture
def thirty_a_second(monkeypatch):
    """A stream's frames come 30 ms after one another by its clock, which is looked at as each comes and is answered."""
    ticks = count(time.perf_counter(), 0.015)
    monkeypatch.setattr(live, "time", SimpleNamespace(perf_counter=ticks.__next__))


def test_frames_are_answered_with_their_number_and_age(client, samples):
    data = encoded(samples[View.LONGITUDINAL])
    with client.websocket_connect("/v1/stream") as stream:
        for seq in range(3):
            stream.send_bytes(data)
            answer = orjson.loads(stream.receive_text())
            assert answer["seq"] == seq
            assert answer["dropped"] == 0
            assert answer["age_ms"] > 0
            assert answer["view"]["name"] == "anterior_longitudinal"
            stages = answer["timings_ms"]
            assert list(stages) == ["queue", "decode", "preprocess", "network", "interpret", "total"]
            assert stages["queue"] + stages["total"] <= answer["age_ms"] + 0.1


def test_settings_hold_for_the_frames_that_follow(client, samples):
    with client.websocket_connect("/v1/stream") as stream:
        stream.send_text('{"spacing_mm": [0.1, 0.2], "laterality": "right", "age_years": 4}')
        assert orjson.loads(stream.receive_text()) == {"settings": "ok"}
        stream.send_bytes(encoded(samples[View.LONGITUDINAL]))
        frame = orjson.loads(stream.receive_text())["frame"]
        assert frame["spacing_mm"] == [0.1, 0.2]
        assert frame["laterality"] == "right"


def test_a_flood_is_thinned_and_counted(client, samples):
    data = encoded(samples[View.LONGITUDINAL])
    with client.websocket_connect("/v1/stream") as stream:
        for _ in range(30):
            stream.send_bytes(data)
        answers = [orjson.loads(stream.receive_text())]
        while answers[-1]["seq"] < 29:
            answers.append(orjson.loads(stream.receive_text()))
    assert sum(a["dropped"] for a in answers) + len(answers) == 30
    assert [a["seq"] for a in answers] == sorted({a["seq"] for a in answers})


def test_bad_frames_and_settings_are_answered_and_the_stream_goes_on(client, samples):
    with client.websocket_connect("/v1/stream") as stream:
        stream.send_bytes(b"not a picture")
        assert orjson.loads(stream.receive_text())["status"] == 415
        stream.send_text("{broken")
        assert orjson.loads(stream.receive_text())["status"] == 422
        stream.send_bytes(encoded(samples[View.LONGITUDINAL]))
        assert orjson.loads(stream.receive_text())["seq"] == 1


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "1",
        '{"colour": 1}',
        '{"spacing_mm": 3}',
        '{"smoothing": "much"}',
        '{"age_years": "old"}',
        '{"laterality": "up"}',
        '{"age_years": true}',
        '{"age_years": -1}',
        '{"age_years": 1e999}',
        '{"smoothing": 0}',
        '{"smoothing": ""}',
        '{"spacing_mm": []}',
        '{"spacing_mm": ""}',
        '{"spacing_mm": [true, true]}',
        '{"spacing_mm": ["0.1", "0.1"]}',
        '{"spacing_mm": [0.1, 0.1, 0.1]}',
        '{"spacing_mm": [0, 0.1]}',
        '{"laterality": 0}',
        '{"laterality": ""}',
        '"steady"',
        "[" * 1001,
    ],
)
def test_impossible_settings_are_refused(text):
    with pytest.raises(Problem) as caught:
        parse_settings(text)
    assert caught.value.status == 422


def test_settings_in_the_address_are_refused(client):
    """Passed over, `?spacing_mm=` would cost the millimetres of every frame."""
    with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect("/v1/stream?spacing_mm=0.1,0.1"):
        pass
    assert refused.value.status_code == 422
    assert "a text message" in refused.value.json()["detail"]


def test_a_socket_that_is_not_there_says_which_are(client):
    with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect("/v1/streams"):
        pass
    assert refused.value.status_code == 404
    assert "/v1/stream" in refused.value.json()["detail"]


def test_every_setting_is_documented():
    told = (Path(__file__).parents[2] / "docs" / "live.md").read_text()
    assert [name for name in Settings.model_fields if f"`HIPSONO_{name.upper()}`" not in told] == []


def test_null_settings_are_unset_ones():
    text = '{"spacing_mm": null, "laterality": null, "age_years": null, "smoothing": null}'
    assert parse_settings(text) == parse_settings("{}") == StreamSettings()


def test_the_newest_frame_takes_the_place_of_the_waiting_one():
    waiting = Waiting()
    for data in (b"a", b"b", b"c"):
        waiting.put(data)
    taken = waiting.take()
    assert taken is not None
    assert (taken.data, taken.seq, taken.dropped) == (b"c", 2, 2)
    assert waiting.take() is None


def test_a_frame_keeps_the_settings_it_came_under():
    waiting = Waiting()
    waiting.settings = parse_settings('{"spacing_mm": [0.1, 0.1]}')
    waiting.put(b"a")
    waiting.settings = parse_settings('{"spacing_mm": [0.2, 0.2]}')
    taken = waiting.take()
    assert taken is not None
    assert taken.settings.options.spacing_mm == (0.1, 0.1)


def test_a_fault_in_one_frame_does_not_silence_the_stream(client, app, samples, monkeypatch):
    reader = app.state.engine.reader
    with client.websocket_connect("/v1/stream") as stream:
        with monkeypatch.context() as patch:
            patch.setattr(reader, "follow", lambda *_: {}["no such thing"])
            stream.send_bytes(encoded(samples[View.LONGITUDINAL]))
            assert orjson.loads(stream.receive_text())["status"] == 500
        stream.send_bytes(encoded(samples[View.LONGITUDINAL]))
        assert orjson.loads(stream.receive_text())["seq"] == 1


@pytest.mark.usefixtures("thirty_a_second")
def test_a_stream_is_steadied_unless_told_not_to_be(client, app, samples):
    data = encoded(samples[View.LONGITUDINAL])
    other = encoded(samples[View.LONGITUDINAL], ".png")
    plain = app.state.engine.reader.read(decode_picture(other))
    with client.websocket_connect("/v1/stream") as stream:
        stream.send_text('{"smoothing": "none"}')
        stream.receive_text()
        for picture in (data, other):
            stream.send_bytes(picture)
            exact = orjson.loads(stream.receive_text())
        stream.send_text('{"smoothing": "steady"}')
        stream.receive_text()
        for picture in (data, other):
            stream.send_bytes(picture)
            steadied = orjson.loads(stream.receive_text())
    places = [[(p["x"], p["y"]) for p in answer["landmarks"]] for answer in (exact, steadied)]
    assert places[0] == [(round(p.x, 2), round(p.y, 2)) for p in plain.landmarks]
    assert places[0] != places[1]
    assert np.abs(np.array(places[0]) - places[1]).max() < 3


@pytest.mark.usefixtures("thirty_a_second")
def test_a_cine_has_one_grade_and_settings_begin_a_new_one(client, samples):
    data = encoded(samples[View.LONGITUDINAL])
    with client.websocket_connect("/v1/stream") as stream:
        for frames in (1, 2):
            stream.send_bytes(data)
            answer = orjson.loads(stream.receive_text())
            assert answer["cine"]["frames"] == frames
        assert answer["cine"]["grade"] == answer["solar"]["gsus"]["grade"]
        assert answer["cine"]["deciding_seq"] in (0, 1)
        stream.send_text('{"laterality": "left"}')
        stream.receive_text()
        stream.send_bytes(data)
        assert orjson.loads(stream.receive_text())["cine"] | {"probabilities": 0} == {
            "grade": answer["cine"]["grade"], "probabilities": 0, "frames": 1, "deciding_seq": 2, "number": 1,
        }  # fmt: skip


@pytest.mark.parametrize("steady", [True, False])
def test_a_cut_or_a_pause_begins_a_new_grade(app, samples, steady):
    hip, other = samples[View.LONGITUDINAL].frame, next(iter(cine(OTHER_HIP, View.LONGITUDINAL, 1))).frame
    running = RunningCine(app.state.engine.reader, steady)
    told = []
    for seq, (frame, at_s) in enumerate([(hip, 0.0), (hip, 0.03), (other, 0.06), (other, 0.09), (other, 2.0)]):
        reading = running.read(frame, seq, at_s)
        told.append((running.body()["number"], running.grade.frames, running.grade.deciding >= seq - 1))
        assert running.grade.grade == reading.solar.gsus.grade
    assert told == [(0, 1, True), (0, 2, True), (1, 1, True), (1, 2, True), (2, 1, True)]


def test_the_frames_of_one_file_are_one_cine(app, samples):
    running = RunningCine(app.state.engine.reader)
    for seq, frame in enumerate([samples[View.LONGITUDINAL].frame, samples[View.INFEROMEDIAL].frame] * 2):
        running.read(frame, seq)
    assert (running.number, running.grade.frames) == (0, 2)
