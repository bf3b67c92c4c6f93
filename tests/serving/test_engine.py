"""The engine: places are bounded and given back when work ends, and cores are shared out."""

import asyncio
import threading

import numpy as np
import pytest

from model.preprocess import find_sector, letterbox
from model.runtime import Session
from serving.engine import Engine
from serving.problems import Problem
from serving.settings import Settings
from tests.waiting import PATIENCE_S


def test_a_full_server_says_when_to_come_back(app):
    engine = app.state.engine
    present, engine._requests = engine._requests, 10_000
    try:
        with pytest.raises(Problem) as caught:
            asyncio.run(engine.run(lambda: None))
    finally:
        engine._requests = present
    assert caught.value.status == 503
    assert caught.value.retry_after_s


def test_a_full_server_refuses_before_it_reads_or_routes(app, client):
    engine = app.state.engine
    present, engine._requests = engine._requests, 10_000
    try:
        refused = client.post("/v1/nothing-of-this-name", content=b"x")
        alive = client.get("/healthz")
    finally:
        engine._requests = present
    assert refused.status_code == 503 and refused.headers["retry-after"] and refused.headers["x-request-id"]
    assert refused.json()["title"] == "Service Unavailable"
    assert alive.status_code == 200
    assert client.post("/v1/nothing-of-this-name", content=b"x").status_code == 404


def test_several_frames_at_once_are_read_by_a_core_each():
    engine = Engine(Settings(workers=2, threads=2))
    begun, done = threading.Barrier(3), threading.Event()

    def wait():
        begun.wait(PATIENCE_S)
        return done.wait(PATIENCE_S)

    async def two_at_once():
        both = [asyncio.ensure_future(engine.run(wait)) for _ in range(2)]
        await asyncio.to_thread(begun.wait, PATIENCE_S)
        crowded = engine.session.crowded
        done.set()
        await asyncio.gather(*both)
        return crowded

    assert not engine.session.crowded
    assert asyncio.run(two_at_once())
    assert not engine.session.crowded


def test_a_core_for_each_says_the_same_as_all_for_one(samples):
    session = Session(threads=2, several=True)
    size = (session.spec.input_height, session.spec.input_width)
    for sample in samples.values():
        picture = letterbox(sample.frame, find_sector(sample.frame), *size)[0]
        told = []
        for session.crowded in (False, True):
            told.append(session.run(picture))
        alone, beside = told
        assert np.array_equal(alone.labels, beside.labels)
        for name in ("structures", "landmarks", "view", "gsus"):
            assert np.allclose(getattr(alone, name), getattr(beside, name), atol=1e-5), name


def test_busy_streams_take_no_requests_place():
    engine = Engine(Settings(workers=1, queue_depth=0))
    free, turns = threading.Event(), []

    async def streams_then_a_request():
        streams = [
            asyncio.ensure_future(engine.run_admitted(lambda k=k: free.wait(PATIENCE_S) and turns.append(k)))
            for k in range(8)
        ]
        await asyncio.sleep(0)
        request = asyncio.ensure_future(engine.run(lambda: turns.append("request")))
        await asyncio.sleep(0)
        with pytest.raises(Problem) as refused:
            await engine.run(lambda: None)
        again = asyncio.ensure_future(engine.run_admitted(lambda: turns.append(0)))
        await asyncio.sleep(0)
        free.set()
        await asyncio.gather(*streams, request, again)
        return refused.value.status

    assert asyncio.run(streams_then_a_request()) == 503
    assert turns == [*range(8), "request", 0]


def test_work_that_nobody_waits_for_any_more_is_not_begun():
    engine = Engine(Settings(workers=1, queue_depth=1, deadline_ms=50))
    free, begun = threading.Event(), []

    async def late_behind_another():
        first = asyncio.ensure_future(engine.run_admitted(lambda: free.wait(PATIENCE_S)))
        await asyncio.sleep(0)
        with pytest.raises(Problem) as late:
            await engine.run(lambda: begun.append("request"))
        left = asyncio.ensure_future(engine.run_admitted(lambda: begun.append("stream")))
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.sleep(0)
        free.set()
        await first
        await engine.run_admitted(lambda: begun.append("last"))
        return late.value.status

    assert asyncio.run(late_behind_another()) == 504
    assert begun == ["last"]
    assert engine.refusal() is None and not engine.session.crowded


def test_work_past_the_deadline_still_holds_its_place():
    engine = Engine(Settings(workers=1, queue_depth=0, deadline_ms=50))
    done = threading.Event()

    async def late_then_refused():
        with pytest.raises(Problem) as late:
            await engine.run(lambda: done.wait(PATIENCE_S))
        with pytest.raises(Problem) as refused:
            await engine.run(lambda: None)
        done.set()
        return late.value.status, refused.value.status

    assert asyncio.run(late_then_refused()) == (504, 503)
