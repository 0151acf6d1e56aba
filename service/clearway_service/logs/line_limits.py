"""Line limits: suppress repeated log lines, and count them in the next line of the kind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable

# Kinds come from our code and from libraries, so there are few. Beyond this number they are evicted.
_MOST_KINDS = 1_024


class LineLimiter:
    """Admits one line of each kind per interval. Thread-safe.

    Args:
        seconds: The interval, in seconds.
        clock: Returns the monotonic time, in seconds.
    """

    def __init__(self, seconds: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._kinds: dict[Hashable, tuple[float, int]] = {}

    def admit(self, kind: Hashable) -> int | None:
        """Return how many lines of ``kind`` were suppressed since the last one; None to suppress this one."""
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
        """Return and reset the number of suppressed lines that no later line has reported."""
        with self._lock:
            total = sum(left_out for _since, left_out in self._kinds.values())
            self._kinds.clear()
        return total
