"""The clock that all waits use: the system's clock, unless a test replaces it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits."""

    def now(self) -> datetime:
        """Return the time, in UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Block this thread for ``seconds`` of this clock."""
        ...

    async def wait(self, seconds: float) -> None:
        """Wait for ``seconds`` of this clock without blocking the event loop."""
        ...

    def call_later(self, seconds: float, function: Callable[..., object], *args: object) -> None:
        """Call a function, which must not block, on the I/O thread in ``seconds`` of this clock."""
        ...


class _SystemClock:
    """The system's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    async def wait(self, seconds: float) -> None:
        import asyncio  # noqa: PLC0415 - sync flows do not need asyncio

        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, function: Callable[..., object], *args: object) -> None:
        from clearway._base.io_thread import get_io_thread  # noqa: PLC0415 - loads asyncio

        get_io_thread().call_later(seconds, function, *args)


_clock: Clock = _SystemClock()


def get_clock() -> Clock:
    """Return the clock of this process."""
    return _clock


def exchange_clock(clock: Clock) -> Clock:
    """Replace the clock of this process and return the previous one. For tests."""
    global _clock
    before, _clock = _clock, clock
    return before


def now() -> datetime:
    """Return the time, in UTC."""
    return _clock.now()


def _after_fork_in_child() -> None:
    global _clock  # noqa: PLW0603
    _clock = _SystemClock()  # the thread that moves a test's clock does not exist in the child


os.register_at_fork(after_in_child=_after_fork_in_child)
