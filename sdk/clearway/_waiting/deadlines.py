"""Code whose time is over, and where the thread that runs it learns of that.

Somebody else watches the time and marks a limit as expired. In the thread that runs the code,
``raise_overdue`` then raises: it is called by a signal in the main thread, and by all threads where they wait
for something of ours, or leave our code for theirs (see ``sigint``).
"""

from __future__ import annotations

import enum
import threading
import time


class TimeIsUp(BaseException):
    """Raised in code whose time is over.

    Attributes:
        limit: Whose time it is; None where the thread has one limit only.
    """

    def __init__(self, limit: Limit | None = None) -> None:
        super().__init__("the time that the run's code may take is over" if limit is None else limit.message)
        self.limit = limit


class _Stage(enum.Enum):
    """What has become of a limit."""

    COUNTING = enum.auto()
    EXPIRED = enum.auto()
    TOLD = enum.auto()  # expired, and the code was told


class Limit:
    """How long a piece of code may take.

    Attributes:
        message: What is said when it has taken longer.
        deadline: By ``time.monotonic``.
        over: Whether the code has ended, and is to be told nothing any more.
    """

    __slots__ = ("_stage", "deadline", "message", "over")

    def __init__(self, seconds: float, message: str) -> None:
        self.message = message
        self.deadline = time.monotonic() + seconds
        self.over = False
        self._stage = _Stage.COUNTING

    def expire(self) -> None:
        """Note that the deadline has passed; done once, by who watches the time."""
        self._stage = _Stage.EXPIRED

    @property
    def expired(self) -> bool:
        """Whether the deadline has passed."""
        return self._stage is not _Stage.COUNTING

    @property
    def is_to_be_told(self) -> bool:
        """Whether the code has yet to be told anything."""
        return self._stage is not _Stage.TOLD

    def take_word(self) -> bool:
        """Return whether the code is to be told now that its time is over, which is done once."""
        if self._stage is not _Stage.EXPIRED or self.over:
            return False
        self._stage = _Stage.TOLD
        return True


limits: dict[int, list[Limit]] = {}
"""The limits that each thread is under, the outermost first. Empty where nobody is under any."""


def put_under(limit: Limit) -> None:
    """Put this thread under a limit."""
    limits.setdefault(threading.get_ident(), []).append(limit)


def release_from(limit: Limit) -> None:
    """Release this thread from a limit, and from those within it."""
    mine = limits.get(threading.get_ident(), [])
    if limit in mine:
        del mine[mine.index(limit) :]
    if not mine:
        limits.pop(threading.get_ident(), None)


def raise_overdue() -> None:
    """Raise ``TimeIsUp`` where this thread is under a limit that has expired, once for each limit."""
    for limit in limits.get(threading.get_ident(), ()):
        if limit.take_word():
            raise TimeIsUp(limit)


def seconds_left() -> float | None:
    """Return for how long this thread may wait until it has to look again; None where it has no limit."""
    mine = [limit.deadline for limit in limits.get(threading.get_ident(), ()) if limit.is_to_be_told]
    return max(min(mine) - time.monotonic(), _LOOK_AGAIN) if mine else None


_LOOK_AGAIN = 0.01  # who watches the time may be a little late
