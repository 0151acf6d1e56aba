"""Cancelling a user's coroutine from outside without cancelling the code that awaits it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from clearway._waiting.loop_calls import call_soon


class Stopped(Exception):  # noqa: N818 - what happened; never seen outside
    """``stop`` cancelled the code, and no other cancellation is pending."""


class Run(Protocol):
    """The run that the code belongs to.

    Attributes:
        stop: Cancels the code; set while the code is running. Any thread may call it.
    """

    stop: Callable[[], None] | None


class cancel_scope:  # noqa: N801 - used as a function; a class because every async task run pays for it
    """Let ``run.stop`` cancel the code in the block, as ``asyncio.timeout`` does; then raises ``Stopped``."""

    __slots__ = ("_cancelling", "_left", "_loop", "_run", "_stopped", "_task")

    def __init__(self, run: Run) -> None:
        self._run = run

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._loop = task.get_loop()
        self._cancelling = task.cancelling()
        self._stopped = self._left = False
        self._run.stop = self._stop

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._run.stop = None
        self._left = True
        if self._stopped and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise Stopped

    def _stop(self) -> None:
        call_soon(self._loop, self._cancel)

    def _cancel(self) -> None:
        if not (self._left or self._stopped):
            self._stopped = True
            self._task.cancel()
