"""A server that is full says so before it reads, parses or routes a request: refusals must not cost the accepted."""

import asyncio
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from serving.engine import Engine
from serving.problems import problem_response

_WORK: Final = "/v1/"
_PAUSE_S: Final = 0.02
"""Before a refusal is sent: who asks again at once, without heeding Retry-After, does not crowd out the accepted."""


class Gate:
    """ASGI middleware: POST requests that the engine has no place for are answered with its 503."""

    def __init__(self, app: ASGIApp, engine: Engine) -> None:
        self._app, self._engine = app, engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = None
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"].startswith(_WORK):
            refused = self._engine.refusal()
        if refused is None:
            await self._app(scope, receive, send)
        else:
            await asyncio.sleep(_PAUSE_S)
            await problem_response(refused)(scope, receive, send)
