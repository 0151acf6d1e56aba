"""The background thread for the SDK's I/O, with its own asyncio event loop. User code never runs on it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

R = TypeVar("R")


class IoThread:
    """A daemon thread with an event loop, started when the object is created."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="clearway-io", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def is_current(self) -> bool:
        """Return True if the caller is on this thread and therefore must not block."""
        return threading.current_thread() is self._thread

    def submit(self, work: Coroutine[Any, Any, R]) -> Future[R]:
        """Run a coroutine on the event loop; cancelling the returned future cancels it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def call_soon(self, function: Callable[..., object], *args: object) -> None:
        """Call a function, which must not block, on the event loop."""
        self.loop.call_soon_threadsafe(function, *args)

    def call_later(self, delay: float, function: Callable[..., object], *args: object) -> None:
        """Call a function, which must not block, on the event loop after ``delay`` seconds."""
        self.loop.call_soon_threadsafe(self.loop.call_later, delay, function, *args)


_lock = threading.Lock()
_thread: IoThread | None = None


def get_io_thread() -> IoThread:
    """Return this process's I/O thread, which the first call starts."""
    global _thread  # noqa: PLW0603 - one per process
    if _thread is None:
        with _lock:
            if _thread is None:
                _thread = IoThread()
    return _thread


def _after_fork_in_child() -> None:
    global _thread, _lock  # noqa: PLW0603
    _lock = threading.Lock()
    _thread = None


os.register_at_fork(after_in_child=_after_fork_in_child)
