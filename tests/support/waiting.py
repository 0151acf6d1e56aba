"""Waiting for a condition of another process, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

DEADLINE_SECONDS = 30.0
_PAUSE_SECONDS = 0.01


def wait_until(condition: Callable[[], T | None], what: str, seconds: float = DEADLINE_SECONDS) -> T:
    """Return the first true value of ``condition``.

    Args:
        condition: Called repeatedly.
        what: A description of the condition, for the message.
        seconds: The timeout in seconds.

    Raises:
        AssertionError: It did not become true in time.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {seconds} s; the last value was {value!r}")
        time.sleep(_PAUSE_SECONDS)
    return value
