"""A clock that stands still until it is moved."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class MovableClock:
    """Tells the time in microseconds since 1970, as the engine asks for it.

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
