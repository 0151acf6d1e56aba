"""Limits of log lines: of lines that are alike, few are written, and the next one says how many were not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable

# Kinds are named by our own code and by libraries, so they are few; more than this are forgotten.
_MOST_KINDS = 1_024


class LineLimiter:
    """Lets one line of each kind through in an interval. Safe from any thread.

    Args:
        seconds: How long after a line the next one of its kind may follow.
        clock: Returns monotonic seconds.
    """

    def __init__(self, seconds: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._kinds: dict[Hashable, tuple[float, int]] = {}

    def admit(self, kind: Hashable) -> int | None:
        """Return how many lines of ``kind`` were left out since the last one; None to leave this one out."""
        with self._lock:
            now = self._clock()
            since, left_out = self._kinds.pop(kind, (now - self._seconds, 0))
            if now - since < self._seconds:
                self._kinds[kind] = (since, left_out + 1)
                return None
            self._kinds[kind] = (now, 0)
            if len(self._kinds) > _MOST_KINDS:
                del self._kinds[next(iter(self._kinds))]
            return left_out

    def left_out(self) -> int:
        """Return how many lines were left out that no later line of their kinds has told of; forget them."""
        with self._lock:
            total = sum(left_out for _since, left_out in self._kinds.values())
            self._kinds.clear()
        return total
