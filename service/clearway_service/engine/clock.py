"""The clock and time-ordered ids, which the pure core gets as inputs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import uuid_utils

from clearway_service.core.moment import Moment
from clearway_service.engine.processes import boot

logger = logging.getLogger(__name__)

Source = Callable[[], int]
"""Returns a time in microseconds."""

_SECOND = 1_000_000
# The wall clock is compared with the steady one at most this often. A larger difference between two
# comparisons is a jump: gradual corrections by NTP change its speed by a thousandth at most.
_COMPARE_EVERY = _SECOND
_JUMP = _SECOND
_SLEWED = 1_000
# The wall clock is derived from the steady one while they agree this well, so that the times of one process
# are in order, and their differences are accurate.
_AGREE = _SECOND // 1_000
# Two clocks cannot be compared if they were read further apart than this, as when the thread was preempted.
_TOGETHER = _SECOND // 20


def system_clock() -> int:
    """Return the wall clock, in microseconds since 1970."""
    return time.time_ns() // 1000


def system_ticks() -> int:
    """Return the microseconds since boot, without the time that the machine was asleep."""
    return time.monotonic_ns() // 1000


def _system_ticks_asleep() -> int:
    """Return the microseconds since boot, including sleep if the system can count it."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
    return system_ticks()


def new_id() -> str:
    """Return a new UUIDv7, which sorts by its creation time."""
    return str(uuid_utils.uuid7())


class Clock:
    """An engine's two clocks: the wall clock for people and calendars, the steady one for leases and delays.

    Calling it returns the wall clock. Thread-safe, except that only one thread may call ``notice``.

    Args:
        wall: The wall clock, in microseconds since 1970.
        ticks: A counter of microseconds that only runs forward.
        timeline: A name for the zero of ``ticks``: counters with the same name agree. Empty if ``ticks`` is
            the steady clock itself.
        compared: A counter like ``ticks`` that includes sleep, to compare the wall clock with; None for
            ``ticks``.

    Attributes:
        ticks: The counter.
        timeline: Its name.
        anchor: The offset from ``ticks`` to the steady clock.
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
        """Return a clock whose wall and steady clock are both ``source``, for tests that move time."""
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
        """Log a line if the wall clock has jumped since the last call; cheap if it has not."""
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
