"""What is refused before it is read, parsed or routed: refusals must not cost the accepted.

A server that is full, bodies that would not fit into memory beside the others, bodies that stall, clients that take no
answers, and pages of another site in the browser of this machine: their WebSockets, what they post, and all they ask
once their own name was made to point here.
"""

import asyncio
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.engine import Engine
from serving.problems import Problem, problem_response
from serving.settings import Settings

_WORK: Final = "/v1/"
_HARMLESS: Final = ("GET", "HEAD")
"""What a foreign page may ask: its browser shows it no answer, and nothing is read for it."""
_PAUSE_S: Final = 0.02
"""Before a refusal is sent: who asks again at once, without heeding Retry-After, does not crowd out the accepted."""


class Gate:
    """ASGI middleware: a POST that the engine or the memory has no place for is answered with 503, a foreign page's
    POST or WebSocket, or whatever calls this server by a name that is not its own, with 403.
    """

    def __init__(self, app: ASGIApp, engine: Engine) -> None:
        self._app, self._engine = app, engine
        settings = engine.settings
        self._bodies = _Bodies(1e6 * max(settings.max_bodies_mb, settings.max_upload_mb), settings.deadline_ms / 1000)
        self._origins = frozenset(settings.origins)
        self._names = names_of(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = None if scope["type"] == "lifespan" else self._foreign(scope)
        if refused is not None:
            await problem_response(refused)(scope, receive, send)
        elif scope["type"] == "http" and scope["method"] == "POST" and scope["path"].startswith(_WORK):
            await self._post(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _post(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = self._engine.refusal() or self._bodies.refusal(Headers(scope=scope))
        if refused is not None:
            await asyncio.sleep(_PAUSE_S)
            await problem_response(refused)(scope, receive, send)
            return
        body = _Body(self._bodies, receive, send)
        try:
            await self._app(scope, body.receive, body.send)
        finally:
            body.forget()

    def _foreign(self, scope: Scope) -> Problem | None:
        """What pages of other sites are told; programs send no Origin, and call a server by its name."""
        headers = Headers(scope=scope)
        origin, host = headers.get("origin"), headers.get("host", "")
        if not self._is_ours(host):
            told = f"this server does not go by the name of {host[:200]}: call it by its address or as localhost"
            return Problem(403, f"{told}, or add that name to HIPSONO_HOSTS")
        is_harmless = scope["type"] == "http" and scope["method"] in _HARMLESS
        if is_harmless or origin is None or origin in self._origins or _site(origin) == host.lower() != "":
            return None
        told = f"a page of {origin[:200]} may send nothing to {host}"
        return Problem(403, f"{told}: open the viewer there, or name that page in HIPSONO_ORIGINS")

    def _is_ours(self, host: str) -> bool:
        """False for another's name: a page whose name was made to point here (DNS rebinding) is, to its browser, of
        this server's own site, and may read all it has. No address can be made to.
        """
        name = _name_of(host)
        return not (self._names and host) or name in self._names or _is_address(name)


def names_of(settings: Settings) -> frozenset[str]:
    """The names that the server goes by; empty where it may be any: open to a network, and none was given."""
    pages = (_name_of(_site(origin)) for origin in settings.origins)
    given = {name.lower() for name in settings.hosts}
    is_own = settings.host == "localhost" or (_is_address(settings.host) and ip_address(settings.host).is_loopback)
    return frozenset({"localhost", *given, *pages}) if given or is_own else frozenset()


def _site(origin: str) -> str:
    """The host and port of a page."""
    return origin.partition("://")[2].lower()


def _name_of(host: str) -> str:
    """The name or address in a Host header, without its port; empty for what is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


class _Bodies:
    """How many bytes of bodies there are in memory, until their requests end, and how many there may be."""

    def __init__(self, limit: float, stall_s: float) -> None:
        self.limit, self.stall_s, self.held = limit, stall_s, 0

    def refusal(self, headers: Headers) -> Problem | None:
        """For a body that does not fit beside the others; one that is too large by itself is told so later."""
        declared = headers.get("content-length", "0")
        size = int(declared) if declared.isdigit() else 0
        return self.full if self.held + size > self.limit >= size else None

    @property
    def full(self) -> Problem:
        """What is told then."""
        told = f"uploads of {self.limit / 1e6:g} MB are in memory: send again later, or raise HIPSONO_MAX_BODIES_MB"
        return Problem(503, told, retry_after_s=1)


class _Body:
    """One request's body on its way through the gate, and its answer on the way back."""

    def __init__(self, bodies: _Bodies, receive: Receive, send: Send) -> None:
        self._bodies, self._receive, self._send = bodies, receive, send
        self._held, self._complete = 0, False

    async def receive(self) -> Message:
        """The next part. Raises Problem 408 for a body that stalls, 503 where there is no room for more of it."""
        if self._complete:
            return await self._receive()
        try:
            async with asyncio.timeout(self._bodies.stall_s):
                message = await self._receive()
        except TimeoutError as error:
            told = f"nothing of the body came for {self._bodies.stall_s:g} s: send it without pauses"
            raise Problem(408, told) from error
        size = len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        self._held += size
        self._bodies.held += size
        if self._held < self._bodies.held > self._bodies.limit:
            raise self._bodies.full
        return message

    async def send(self, message: Message) -> None:
        """Raises ClientDisconnect where the client takes nothing: its body would be held for as long as it likes."""
        try:
            async with asyncio.timeout(self._bodies.stall_s):
                await self._send(message)
        except TimeoutError as error:
            raise ClientDisconnect from error

    def forget(self) -> None:
        """The request has ended."""
        self._bodies.held -= self._held
