"""The gate's bookkeeping, without a network between."""

import asyncio

import pytest
from starlette.requests import ClientDisconnect

from serving.engine import Engine
from serving.gate import Gate
from serving.settings import Settings


def test_a_client_that_takes_no_answer_is_given_up_and_its_body_let_go():
    async def answers(scope, receive, send):
        await receive()
        held.append(gate._bodies.held)
        await send({"type": "http.response.start"})

    async def receive():
        return {"type": "http.request", "body": b"x" * 1000}

    async def send(message):
        await asyncio.Event().wait()

    held: list[int] = []
    gate = Gate(answers, Engine(Settings(deadline_ms=50)))
    with pytest.raises(ClientDisconnect):
        asyncio.run(gate({"type": "http", "method": "POST", "path": "/v1/frames", "headers": []}, receive, send))
    assert (held, gate._bodies.held) == ([1000], 0)
