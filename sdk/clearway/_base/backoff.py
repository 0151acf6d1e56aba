"""Exponential backoff for reconnects and retries."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

_MAX_DOUBLINGS = 64  # more than any limit in use needs, and far from overflowing a float


class Backoff(NamedTuple):
    """Exponential backoff with full jitter: a random delay below a bound that doubles with each failure.

    The jitter prevents a thundering herd of clients that lost their server at the same moment.

    Attributes:
        first: The bound after the first failure, in seconds.
        longest: The largest bound, in seconds.
    """

    first: float
    longest: float

    def delay(self, failures: int, draw: Callable[[], float] = random.random) -> float:
        """Return how long to wait before the next attempt, in seconds.

        Args:
            failures: How many attempts have failed in a row, from 1.
            draw: Returns a random number in [0, 1]; tests replace it.

        Returns:
            A delay in [0, ``min(longest, first * 2 ** (failures - 1))``].

        Source: "full jitter" in https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter
        """
        return draw() * min(self.longest, self.first * 2.0 ** min(failures - 1, _MAX_DOUBLINGS))
