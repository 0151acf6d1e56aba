"""Moment: the two times at which a turn is decided."""

from __future__ import annotations

from typing import NamedTuple


class Moment(NamedTuple):
    """One point in time, on both of the service's clocks, each in microseconds.

    Attributes:
        now: The wall clock, since 1970. It is what people read and what calendars mean, and may be set at any
            time, forward or back.
        steady: The steady clock, which only runs forward, at the speed of time. Leases and delays are
            measured by it; its zero means nothing.
    """

    now: int
    steady: int

    def wall_time(self, steady: int) -> int:
        """Return what the wall clock, as it is set now, shows at a time of the steady clock."""
        return self.now + steady - self.steady
