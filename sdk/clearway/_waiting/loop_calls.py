"""Calling into a user's event loop from the transport's threads."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TypeVar
from weakref import WeakKeyDictionary

from clearway._transport.decision_future import Answered

R = TypeVar("R")


class _Inbox:
    """Calls for one event loop. When several arrive together, only the first wakes the loop."""

    __slots__ = ("_calls", "_waking")

    def __init__(self) -> None:
        self._calls: deque[tuple[Callable[..., object], tuple[object, ...]]] = deque()
        self._waking = False

    def put(
        self, loop: asyncio.AbstractEventLoop, function: Callable[..., object], args: tuple[object, ...]
    ) -> None:
        # Append first, then check: the loop clears the flag before it reads the calls.
        self._calls.append((function, args))
        if loop.is_closed():
            self._calls.clear()  # they may refer to the loop
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
                except Exception as error:  # noqa: BLE001 - as the loop itself does, so that the rest is called
                    loop.call_exception_handler({"message": f"{function!r} failed", "exception": error})
        finally:
            if self._calls and not self._waking and not loop.is_closed():
                self._wake(loop)


_inboxes: WeakKeyDictionary[asyncio.AbstractEventLoop, _Inbox] = WeakKeyDictionary()


def call_soon(loop: asyncio.AbstractEventLoop, function: Callable[..., object], *args: object) -> None:
    """Call ``function`` on the loop, from any thread; does nothing if the loop is closed."""
    try:
        inbox = _inboxes.get(loop) or _inboxes.setdefault(loop, _Inbox())
        inbox.put(loop, function, args)
    except RuntimeError:
        if not loop.is_closed():
            raise
        _inboxes.pop(loop, None)


async def settled(source: Answered[R]) -> R:
    """Await a transport future and return its result. Unlike ``wrap_future``, never cancels the future."""
    await answered(source)
    return source.result()


async def answered(source: Answered[R]) -> None:
    """Wait until a transport future is done, however it ends."""
    if not source.done():
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        source.add_done_callback(lambda _: call_soon(loop, set_once, waiter))
        await waiter


def set_once(waiter: asyncio.Future[None]) -> None:
    """Wake a waiter that may have been cancelled meanwhile."""
    if not waiter.done():
        waiter.set_result(None)
