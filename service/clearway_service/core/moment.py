"""Moment: the time of a turn, on the wall clock and the steady clock."""

from __future__ import annotations

from typing import NamedTuple


class Moment(NamedTuple):
    """One point in time, on both of the service's clocks, each in microseconds.

    Attributes:
        now: The wall clock, since 1970. People and calendars use it, and it may be set forward or back at
            any time.
        steady: The steady clock, which is never set and only runs forward. Leases and delays are measured by
            it; its zero is arbitrary.
    """

    now: int
    steady: int

    def wall_time(self, steady: int) -> int:
        """Convert a time of the steady clock to the wall clock as it is set now."""
        return self.now + steady - self.steady
