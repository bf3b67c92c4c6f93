"""What the WebSocket routes share: a bounded number of conversations, whose parts begin and end together."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Final

from fastapi import WebSocket, WebSocketDisconnect

_FULL: Final = 1013
"""The WebSocket registry's "try again later"."""


async def is_seated(socket: WebSocket, seats: asyncio.Semaphore, told: str) -> bool:
    """Accepts a connection; one that finds every seat taken is closed with what is told then."""
    await socket.accept()
    if seats.locked():
        await socket.close(_FULL, told)
        return False
    return True


async def until_one_ends(*parts: Coroutine[None, None, None]) -> None:
    """Runs the parts side by side; the first that ends, ends the others. Raises what it raised.

    A peer that has gone is an end like any other.
    """
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
    for task in ended:
        with suppress(WebSocketDisconnect):
            task.result()
