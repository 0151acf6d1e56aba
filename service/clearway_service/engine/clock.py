"""The clock, and the ids that are ordered by it: the two things the pure core is given from outside."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import uuid_utils

from clearway_service.core.moment import Moment
from clearway_service.engine.processes import boot

logger = logging.getLogger(__name__)

Source = Callable[[], int]
"""Tells a time in microseconds."""

_SECOND = 1_000_000
# The wall clock is compared with the steady one at most this often, and has jumped where it moved by more
# than this from one time to the next. Time servers that correct it gradually do so by a thousandth at most.
_COMPARE_EVERY = _SECOND
_JUMP = _SECOND
_SLEWED = 1_000
# The wall clock is derived from the steady one while they agree this well: the times of one process are then
# in order, and differ by the time that passed.
_AGREE = _SECOND // 1_000
# Two clocks that are read further apart than this, since the thread was put aside between them, tell nothing.
_TOGETHER = _SECOND // 20


def system_clock() -> int:
    """Return the wall clock: the time in microseconds since 1970."""
    return time.time_ns() // 1000


def system_ticks() -> int:
    """Return the microseconds that passed since the boot, but for those that the machine slept."""
    return time.monotonic_ns() // 1000


def _system_ticks_asleep() -> int:
    """Return the microseconds that passed since the boot, where the system counts those of sleep too."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
    return system_ticks()


def new_id() -> str:
    """Return a new UUIDv7, which sorts by the time it was made."""
    return str(uuid_utils.uuid7())


class Clock:
    """An engine's two clocks: the wall clock for people and calendars, the steady one for leases and delays.

    Calling it returns the wall clock. All of it is safe from any thread but ``notice``, which is for one.

    Args:
        wall: The wall clock, in microseconds since 1970.
        ticks: A counter of microseconds that only runs forward.
        timeline: What ``ticks`` counts from, by name: counters of one name agree. Empty where ``ticks`` is
            the steady clock as it is.
        compared: A counter like ``ticks`` to compare the wall clock with, which counts on while the machine
            sleeps; None for ``ticks``.

    Attributes:
        ticks: The counter.
        timeline: Its name.
        anchor: What to add to ``ticks`` for the steady clock.
    """

    def __init__(
        self, wall: Source, ticks: Source, timeline: str = "", compared: Source | None = None
    ) -> None:
        self.ticks = ticks
        self.timeline = timeline
        self.anchor = 0
        self._wall = wall
        self._compared = compared or ticks
        self._ahead = wall() - ticks()
        self._offset = wall() - self._compared()
        self._looked = ticks()

    @classmethod
    def of_machine(cls) -> Clock:
        """Return the clocks of this machine."""
        return cls(system_clock, system_ticks, boot(), _system_ticks_asleep)

    @classmethod
    def moved_by(cls, source: Source) -> Clock:
        """Return clocks that both are ``source``, which a test moves: leases and delays follow it."""
        return cls(source, source)

    def __call__(self) -> int:
        """Return the wall clock, in microseconds since 1970."""
        return self._now(self.ticks())

    def steady(self) -> int:
        """Return the steady clock, in microseconds."""
        return self.ticks() + self.anchor

    def read(self) -> Moment:
        """Return both."""
        ticks = self.ticks()
        return Moment(self._now(ticks), ticks + self.anchor)

    def _now(self, ticks: int) -> int:
        ahead = self._wall() - ticks
        if abs(ahead - self._ahead) > _AGREE:
            self._ahead = ahead
        return ticks + self._ahead

    def notice(self) -> None:
        """Log a jump of the wall clock since the last call, one line for each; quick where there is none."""
        ticks = self.ticks()
        passed = ticks - self._looked
        if passed < _COMPARE_EVERY:
            return
        offset = self._wall() - self._compared()
        if self.ticks() - ticks > _TOGETHER:
            return
        jump, self._offset, self._looked = offset - self._offset, offset, ticks
        if abs(jump) > _JUMP + passed // _SLEWED:
            direction = "forward" if jump > 0 else "back"
            logger.warning(
                "the wall clock jumped %s by %.1f s; times that people read follow it, "
                "leases and delays do not",
                direction,
                abs(jump) / _SECOND,
            )
