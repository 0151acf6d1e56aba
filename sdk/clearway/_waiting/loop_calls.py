"""From the transport's threads to a user's event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TypeVar
from weakref import WeakKeyDictionary

from clearway._transport.decision_future import Answered

R = TypeVar("R")


class _Inbox:
    """Calls for one event loop. Of those that come together only the first wakes it, by a system call."""

    __slots__ = ("_calls", "_waking")

    def __init__(self) -> None:
        self._calls: deque[tuple[Callable[..., object], tuple[object, ...]]] = deque()
        self._waking = False

    def put(
        self, loop: asyncio.AbstractEventLoop, function: Callable[..., object], args: tuple[object, ...]
    ) -> None:
        # Append first, then look: the loop clears the flag before it looks here.
        self._calls.append((function, args))
        if loop.is_closed():
            self._calls.clear()  # they may hold the loop
        elif not self._waking:
            self._wake(loop)

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self._waking = True
            loop.call_soon_threadsafe(self._run, loop)
        except BaseException:
            self._waking = False
            raise

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        self._waking = False
        try:
            for _ in range(len(self._calls)):
                function, args = self._calls.popleft()
                try:
                    function(*args)
                except Exception as error:  # noqa: BLE001 - as the loop does, so that the others are called
                    loop.call_exception_handler({"message": f"{function!r} failed", "exception": error})
        finally:
            if self._calls and not self._waking and not loop.is_closed():
                self._wake(loop)


_inboxes: WeakKeyDictionary[asyncio.AbstractEventLoop, _Inbox] = WeakKeyDictionary()


def call_soon(loop: asyncio.AbstractEventLoop, function: Callable[..., object], *args: object) -> None:
    """Call ``function`` on the loop, from any thread; a loop that is closed has nobody left who waits."""
    try:
        inbox = _inboxes.get(loop) or _inboxes.setdefault(loop, _Inbox())
        inbox.put(loop, function, args)
    except RuntimeError:
        if not loop.is_closed():
            raise
        _inboxes.pop(loop, None)


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
