"""The clock, and the ids that are ordered by it: the two things the pure core is given from outside."""

from __future__ import annotations

import time
from collections.abc import Callable

import uuid_utils

Clock = Callable[[], int]


def system_clock() -> int:
    """Return the time in microseconds since 1970."""
    return time.time_ns() // 1000


def new_id() -> str:
    """Return a new UUIDv7, which sorts by the time it was made."""
    return str(uuid_utils.uuid7())
