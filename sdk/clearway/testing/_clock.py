"""The clock of a service under test: it runs at normal speed, and tests can move it forward."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from clearway._base.io_thread import get_io_thread
from clearway._waiting.sigint import unshielded

if TYPE_CHECKING:
    from clearway.testing._activity import Activity

# A wait is skipped after this long without any event. A flow's code may compute this long between two calls
# before the clock takes it for waiting.
_STILL_SECONDS: Final = 0.005
_MICROSECOND: Final = timedelta(microseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Timer = tuple[datetime, int, Callable[[], object]]


class Clock:
    """The clock of a service under test, which governs retries, schedules, cache expiration and leases.

    It starts at the system's time and runs at normal speed. If ``skips_waits`` is True, it also jumps: as
    soon as all runs are only waiting, to the time at which the first of them resumes. It does not jump while
    a task's code is running.

    Attributes:
        skips_waits: True if waits are skipped. May be changed at any time.
    """

    def __init__(self, activity: Activity, *, skips_waits: bool) -> None:
        self.skips_waits = skips_waits
        self._activity = activity
        self._began, self._ticks = datetime.now(UTC), time.monotonic()
        self._ahead = timedelta(0)
        self._on_move: Callable[[], None] = lambda: None
        self._moving = threading.Lock()
        self._changed = threading.Condition()
        self._timers: list[Timer] = []
        self._numbers = itertools.count()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="clearway-test-clock", daemon=True)

    # For tests.

    def now(self) -> datetime:
        """Return the clock's time, in UTC."""
        # From the monotonic clock, because the system's time may be changed during a test.
        return self._began + timedelta(seconds=time.monotonic() - self._ticks) + self._ahead

    def advance(
        self,
        by: timedelta | None = None,
        *,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
    ) -> datetime:
        """Move the clock forward. Runs that are then due resume, and leases and cache entries expire.

            clock.advance(seconds=60)
            clock.advance(timedelta(days=1))

        Args:
            by: A timedelta, added to the other arguments.
            days: Days to add.
            hours: Hours to add.
            minutes: Minutes to add.
            seconds: Seconds to add.

        Returns:
            The clock's new time.

        Raises:
            ValueError: The sum is negative.
        """
        whole = (by or timedelta(0)) + timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        if whole < timedelta(0):
            raise ValueError(
                f"the clock cannot be advanced by {whole.total_seconds():g} s: it only moves forward"
            )
        self._move(lambda: whole)
        return self.now()

    def until_a_run_waits(self, timeout: float = 10.0) -> timedelta:
        """Block until a run is waiting for a point in time, such as a retry; use with ``skips_waits=False``.

        Args:
            timeout: How long to block, in seconds of real time. Default: 10.

        Returns:
            How long the run that is due first still has to wait.

        Raises:
            TimeoutError: No run waited within ``timeout`` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._timers, timeout):
                raise TimeoutError(f"no run waited for a point in time within {timeout:g} s")
            return max(timedelta(0), self._timers[0][0] - self.now())

    # For the SDK: see ``clearway._base.clock.Clock``.

    def sleep(self, seconds: float) -> None:
        """Block this thread until this clock has advanced by ``seconds``."""
        due = self._waker(seconds)
        with unshielded():
            due.result()
        self._activity.ended()

    async def wait(self, seconds: float) -> None:
        """Wait until this clock has advanced by ``seconds``."""
        from clearway._waiting.loop_calls import answered  # noqa: PLC0415 - loads asyncio

        due = self._waker(seconds)
        try:
            await answered(due)
        finally:
            if due.done():
                self._activity.ended()
            else:
                due.cancel()

    def call_later(self, seconds: float, function: Callable[..., object], *args: object) -> None:
        """Call a function, which must not block, on the I/O thread in ``seconds`` of this clock."""

        def call() -> None:
            try:
                function(*args)
            finally:
                self._activity.ended()

        def due() -> None:
            self._activity.began()
            get_io_thread().call_soon(call)

        self._add(seconds, due)

    def microseconds(self) -> int:
        """Return the clock's time in microseconds since 1970, as the engine needs it."""
        return (self.now() - _EPOCH) // _MICROSECOND

    def start(self, on_move: Callable[[], None]) -> None:
        """Start the thread that wakes what is due.

        Args:
            on_move: Called after each jump, before anything is woken.
        """
        self._on_move = on_move
        self._thread.start()

    def close(self) -> None:
        """Stop the thread and wake everything that is still waiting."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()

    # The clock's own thread.

    def _waker(self, seconds: float) -> Future[None]:
        """Return a future that is done in ``seconds``; its owner must then call ``Activity.ended``."""
        future: Future[None] = Future()

        def due() -> None:
            if future.set_running_or_notify_cancel():
                self._activity.began()
                future.set_result(None)

        self._add(seconds, due)
        return future

    def _add(self, seconds: float, due: Callable[[], object]) -> None:
        at = self.now() + timedelta(seconds=seconds)
        with self._changed:
            if not self._closed:
                heapq.heappush(self._timers, (at, next(self._numbers), due))
                self._changed.notify_all()
                return
        due()

    def _run(self) -> None:
        while not self._closed:
            self._rest()
            self._wake(self._take_due())
        with self._changed:
            left, self._timers = self._timers, []
        self._wake(left)

    def _rest(self) -> None:
        """Wait until something may be due; if all runs are only waiting, jump to that time."""
        with self._changed:
            if not self._timers:
                self._changed.wait_for(lambda: self._closed or self._timers)
                return
            first = self._timers[0][0]
            seconds = (first - self.now()).total_seconds()
            changes = self._activity.changes
            if seconds > 0:
                self._changed.wait(min(seconds, _STILL_SECONDS))
        if self._closed or not self.skips_waits:
            return
        if self._activity.is_still() and self._activity.changes == changes:
            self._move(lambda: first - self.now())

    def _move(self, how_far: Callable[[], timedelta]) -> None:
        with self._moving:
            self._ahead += max(timedelta(0), how_far())
            self._on_move()
        with self._changed:
            self._changed.notify_all()

    def _take_due(self) -> list[Timer]:
        now, due = self.now(), []
        with self._changed:
            while self._timers and self._timers[0][0] <= now:
                due.append(heapq.heappop(self._timers))
        return due

    def _wake(self, timers: list[Timer]) -> None:
        for _at, _number, due in timers:
            due()
