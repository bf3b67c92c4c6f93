"""The heads of requests as they come: before one is whole, no route and no gate sees its request.

uvicorn waits for a head for ever, and keeps all of it that comes: a few thousand connections that say nothing, or one
that never ends its head, would take the server from everybody else.
"""

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES: Final = 65_536


class PromptHeads(HttpToolsProtocol):
    """Gives up a connection whose next head is longer than MAX_HEAD_BYTES, or is not whole `patience_s` after it began;
    the first begins with the connection.
    """

    patience_s = 30.0
    _due: asyncio.TimerHandle | None = None
    _came = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._due is not None:
            self._came += len(data)
            if self._came > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response(f"The head of a request is at most {MAX_HEAD_BYTES} bytes.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._due is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        self._head_came()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._came = 0
        self._due = self.loop.call_later(self.patience_s, self.timeout_keep_alive_handler)

    def _head_came(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None


def prompt_within(seconds: float) -> type[PromptHeads]:
    """The protocol of a server with this much patience."""

    class Prompt(PromptHeads):
        patience_s = seconds

    return Prompt
