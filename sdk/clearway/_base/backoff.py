"""How long to wait before something that failed is tried again."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

_MAX_DOUBLINGS = 64  # beyond every limit that is used, and far from what a float cannot hold


class Backoff(NamedTuple):
    """Exponential backoff with full jitter: each failure doubles the bound, and the delay is drawn below it.

    So clients that lost a server at the same moment do not come back to it at the same moment.

    Attributes:
        first: The bound after the first failure, in seconds.
        longest: The largest bound, in seconds.
    """

    first: float
    longest: float

    def delay(self, failures: int, draw: Callable[[], float] = random.random) -> float:
        """Return how long to wait, in seconds, before the next attempt.

        Args:
            failures: How many attempts have failed in a row, from 1.
            draw: Returns a number in [0, 1]; tests give one.

        Returns:
            A delay in [0, ``min(longest, first * 2 ** (failures - 1))``].

        Source: "full jitter" in https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter
        """
        return draw() * min(self.longest, self.first * 2.0 ** min(failures - 1, _MAX_DOUBLINGS))
