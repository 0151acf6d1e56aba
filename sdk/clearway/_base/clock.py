"""The clock that runs wait by: the system's, unless a test has put another in its place."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time, and lets it pass."""

    def now(self) -> datetime:
        """Return the time, in UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Block this thread until so much time has passed."""
        ...

    async def wait(self, seconds: float) -> None:
        """Return when so much time has passed."""
        ...

    def call_later(self, seconds: float, function: Callable[..., object], *args: object) -> None:
        """Call a quick function on the I/O thread when so much time has passed."""
        ...


class _SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    async def wait(self, seconds: float) -> None:
        import asyncio  # noqa: PLC0415 - sync flows need no asyncio

        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, function: Callable[..., object], *args: object) -> None:
        from clearway._base.io_thread import get_io_thread  # noqa: PLC0415 - loads asyncio

        get_io_thread().call_later(seconds, function, *args)


_clock: Clock = _SystemClock()


def get_clock() -> Clock:
    """Return the clock of this process."""
    return _clock


def exchange_clock(clock: Clock) -> Clock:
    """Make another clock this process's own; return the one before. For tests."""
    global _clock
    before, _clock = _clock, clock
    return before


def now() -> datetime:
    """Return the time, in UTC."""
    return _clock.now()


def _after_fork_in_child() -> None:
    global _clock  # noqa: PLW0603
    _clock = _SystemClock()  # the thread that moves a test's clock is the parent's


os.register_at_fork(after_in_child=_after_fork_in_child)
