"""A clock that stands still until it is moved."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class MovableClock:
    """A clock source for the engine, in microseconds since 1970.

    Attributes:
        now: The time.
    """

    now: int

    def __call__(self) -> int:
        """Return the time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Move on."""
        self.now += round(seconds * 1e6)
