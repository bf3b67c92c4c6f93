"""Every answer carries X-Request-ID (the caller's, or a new one) and Server-Timing."""

import logging
import re
import time
from typing import Final
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.problems import Problem, problem_response

_FIT: Final = re.compile(r"^[\w.:-]{1,128}$")


class Tracing:
    """ASGI middleware; adds "app", the time until the first byte, to what a route tells of its stages.

    Who asks for the head alone (HEAD) gets that of GET.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _FIT.match(given) else uuid4().hex
        started = time.perf_counter()

        async def traced(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                stages = headers.get("server-timing")
                spent = f"app;dur={1e3 * (time.perf_counter() - started):.2f}"
                headers["Server-Timing"] = f"{stages}, {spent}" if stages else spent
            await send(message)

        answered = False

        async def watched(message: Message) -> None:
            nonlocal answered
            answered = answered or message["type"] == "http.response.start"
            await traced(message)

        try:
            await self._app(_as_get(scope), receive, watched)
        except ClientDisconnect:
            return  # nobody is there to be told, and clients that leave are no fault to be logged
        except Exception:
            # Starlette's own last resort answers outside every middleware, without these headers.
            if answered:
                raise
            logging.getLogger("hipsono").exception("request %s failed", request_id)
            fault = Problem(500, f"a fault of the server, request {request_id}: please report it")
            await problem_response(fault)(scope, receive, traced)


def _as_get(scope: Scope) -> Scope:
    """The server leaves out the body of what it answers to HEAD."""
    return {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
