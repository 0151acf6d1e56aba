"""One daemon thread that calls functions at given times, such as the timeouts of sync code."""

from __future__ import annotations

import heapq
import itertools
import logging
import os
import threading
import time
from collections.abc import Callable

_log = logging.getLogger("clearway.engine")

_MANY = 1_000


class TimerCall:
    """A scheduled call.

    Attributes:
        function: What to call; None once it is cancelled.
    """

    __slots__ = ("function",)

    def __init__(self, function: Callable[[], None]) -> None:
        self.function: Callable[[], None] | None = function

    def cancel(self) -> None:
        """Cancel the call, unless it has begun."""
        self.function = None


class Timer:
    """A daemon thread that makes scheduled calls; starts with the first. The calls must be quick."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._calls: list[tuple[float, int, TimerCall]] = []
        self._purge_at = _MANY
        self._started = False

    def call_later(self, seconds: float, function: Callable[[], None]) -> TimerCall:
        """Schedule a call after so many seconds of real time."""
        call = TimerCall(function)
        entry = (time.monotonic() + seconds, next(self._numbers), call)
        with self._changed:
            if len(self._calls) >= self._purge_at:
                self._calls = [entry for entry in self._calls if entry[2].function is not None]
                heapq.heapify(self._calls)
                self._purge_at = max(_MANY, 2 * len(self._calls))
            heapq.heappush(self._calls, entry)
            if not self._started:
                self._started = True
                threading.Thread(target=self._run, name="clearway-timer", daemon=True).start()
            elif self._calls[0] is entry:
                self._changed.notify()
        return call

    def _run(self) -> None:
        while True:
            function = self._next().function
            if function is None:
                continue
            try:
                function()
            except Exception:  # noqa: BLE001 - must not affect later calls
                _log.exception("a timeout's callback failed")

    def _next(self) -> TimerCall:
        """Wait until the next call is due, and remove it from the queue."""
        with self._changed:
            while True:
                if not self._calls:
                    self._changed.wait()
                    continue
                left = self._calls[0][0] - time.monotonic()
                if left <= 0 or self._calls[0][2].function is None:
                    return heapq.heappop(self._calls)[2]
                self._changed.wait(left)


_timer = Timer()


def get_timer() -> Timer:
    """Return this process's timer."""
    return _timer


def _after_fork_in_child() -> None:
    global _timer  # noqa: PLW0603 - one per process
    _timer = Timer()


os.register_at_fork(after_in_child=_after_fork_in_child)
