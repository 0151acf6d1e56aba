"""One thread that calls functions when their time has come, for code that is watched from outside."""

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


class Watch:
    """A call to come.

    Attributes:
        function: What is called; None where nobody wants it any more.
    """

    __slots__ = ("function",)

    def __init__(self, function: Callable[[], None]) -> None:
        self.function: Callable[[], None] | None = function

    def cancel(self) -> None:
        """Call nothing; a call that is under way goes on."""
        self.function = None


class Watchdog:
    """A daemon thread, started with the first call to come. What it calls must be quick."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._watches: list[tuple[float, int, Watch]] = []
        self._purge_at = _MANY
        self._started = False

    def watch(self, seconds: float, function: Callable[[], None]) -> Watch:
        """Have a function called after so many seconds of real time."""
        watch = Watch(function)
        entry = (time.monotonic() + seconds, next(self._numbers), watch)
        with self._changed:
            if len(self._watches) >= self._purge_at:
                self._watches = [entry for entry in self._watches if entry[2].function is not None]
                heapq.heapify(self._watches)
                self._purge_at = max(_MANY, 2 * len(self._watches))
            heapq.heappush(self._watches, entry)
            if not self._started:
                self._started = True
                threading.Thread(target=self._run, name="clearway-watchdog", daemon=True).start()
            elif self._watches[0] is entry:
                self._changed.notify()
        return watch

    def _run(self) -> None:
        while True:
            function = self._next().function
            if function is None:
                continue
            try:
                function()
            except Exception:  # noqa: BLE001 - what is watched next is not to suffer from it
                _log.exception("what was to be done at a run's timeout could not be done")

    def _next(self) -> Watch:
        """Wait for the next watch whose time has come, and take it."""
        with self._changed:
            while True:
                if not self._watches:
                    self._changed.wait()
                    continue
                left = self._watches[0][0] - time.monotonic()
                if left <= 0 or self._watches[0][2].function is None:
                    return heapq.heappop(self._watches)[2]
                self._changed.wait(left)


_watchdog = Watchdog()


def get_watchdog() -> Watchdog:
    """Return this process's watchdog."""
    return _watchdog


def _after_fork_in_child() -> None:
    global _watchdog  # noqa: PLW0603 - one per process
    _watchdog = Watchdog()


os.register_at_fork(after_in_child=_after_fork_in_child)
