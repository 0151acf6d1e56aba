"""Timeouts of code, and where the thread that runs it notices them.

Another thread watches the time and marks a limit as expired. In the thread that runs the code,
``raise_overdue`` then raises. It is called by a signal in the main thread, and by all threads when they wait
for something of ours or return from our code to the user's (see ``sigint``).
"""

from __future__ import annotations

import enum
import threading
import time


class TimeIsUp(BaseException):
    """Raised in code that exceeds its timeout.

    Attributes:
        limit: The limit exceeded; None if the thread has only one.
    """

    def __init__(self, limit: Limit | None = None) -> None:
        super().__init__("the run's code timed out" if limit is None else limit.message)
        self.limit = limit


class _Stage(enum.Enum):
    """How far a limit has come."""

    COUNTING = enum.auto()
    EXPIRED = enum.auto()
    TOLD = enum.auto()  # expired, and ``TimeIsUp`` was raised


class Limit:
    """The timeout of a piece of code.

    Attributes:
        message: The message of the error when it is exceeded.
        deadline: By ``time.monotonic``.
        over: Whether the code has ended, so that nothing may be raised in it any more.
    """

    __slots__ = ("_stage", "deadline", "message", "over")

    def __init__(self, seconds: float, message: str) -> None:
        self.message = message
        self.deadline = time.monotonic() + seconds
        self.over = False
        self._stage = _Stage.COUNTING

    def expire(self) -> None:
        """Mark the deadline as passed; called once, by the thread that watches the time."""
        self._stage = _Stage.EXPIRED

    @property
    def expired(self) -> bool:
        """Whether the deadline has passed."""
        return self._stage is not _Stage.COUNTING

    @property
    def is_to_be_told(self) -> bool:
        """Whether ``TimeIsUp`` has not been raised yet."""
        return self._stage is not _Stage.TOLD

    def take_word(self) -> bool:
        """Return whether to raise ``TimeIsUp`` now; True at most once."""
        if self._stage is not _Stage.EXPIRED or self.over:
            return False
        self._stage = _Stage.TOLD
        return True


limits: dict[int, list[Limit]] = {}
"""The limits that each thread is under, the outermost first. Empty if no thread has any."""


def put_under(limit: Limit) -> None:
    """Put this thread under a limit."""
    limits.setdefault(threading.get_ident(), []).append(limit)


def release_from(limit: Limit) -> None:
    """Release this thread from a limit, and from the limits within it."""
    mine = limits.get(threading.get_ident(), [])
    if limit in mine:
        del mine[mine.index(limit) :]
    if not mine:
        limits.pop(threading.get_ident(), None)


def raise_overdue() -> None:
    """Raise ``TimeIsUp`` if this thread is under an expired limit; once for each limit."""
    for limit in limits.get(threading.get_ident(), ()):
        if limit.take_word():
            raise TimeIsUp(limit)


def seconds_left() -> float | None:
    """Return how long this thread may wait before it checks its limits again; None if it has none."""
    mine = [limit.deadline for limit in limits.get(threading.get_ident(), ()) if limit.is_to_be_told]
    return max(min(mine) - time.monotonic(), _LOOK_AGAIN) if mine else None


_LOOK_AGAIN = 0.01  # the watching thread may be a little late
