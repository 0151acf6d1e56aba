"""From the transport's threads to a user's event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from clearway._decision_future import Answered

R = TypeVar("R")


def call_soon(loop: asyncio.AbstractEventLoop, function: Callable[..., object], *args: object) -> None:
    """Call ``function`` on the loop, from any thread; a loop that is closed has nobody left who waits."""
    try:
        loop.call_soon_threadsafe(function, *args)
    except RuntimeError:
        if not loop.is_closed():
            raise


async def settled(source: Answered[R]) -> R:
    """Return what a future of the transport has. Unlike ``wrap_future``'s it is not cancelled with us."""
    await answered(source)
    return source.result()


async def answered(source: Answered[R]) -> None:
    """Wait until a future of the transport is done, whatever came of it."""
    if not source.done():
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        source.add_done_callback(lambda _: call_soon(loop, set_once, waiter))
        await waiter


def set_once(waiter: asyncio.Future[None]) -> None:
    """Wake a waiter that may have been cancelled meanwhile."""
    if not waiter.done():
        waiter.set_result(None)
