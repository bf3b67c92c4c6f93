"""What the WebSocket routes share: parts of one conversation that begin and end together."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress

from fastapi import WebSocketDisconnect


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
