"""The clock of a service under test: it runs as the system's does, and can be moved."""

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

# How long nothing must happen before a wait is skipped: so long a flow may compute between two of its calls.
_STILL_SECONDS: Final = 0.005
_MICROSECOND: Final = timedelta(microseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Timer = tuple[datetime, int, Callable[[], object]]


class Clock:
    """The time of a service under test, for all that waits: retries, schedules, cache entries and leases.

    It begins at the system's time and runs as fast. While ``skips_waits`` is true it also jumps: as soon as
    all runs only wait, to the moment when the first of them goes on. While the code of a task runs it does
    not jump, and it never stands still.

    Attributes:
        skips_waits: Whether waits are skipped. May be set at any time.
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
        """Return the time, in UTC."""
        # Not the system's time, which may be set while a test waits.
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
        """Move the clock forward, at once. What is then due goes on; leases that ran out have ended.

            clock.advance(seconds=60)
            clock.advance(timedelta(days=1))

        Args:
            by: How far, beside what the others say.
            days: Days.
            hours: Hours.
            minutes: Minutes.
            seconds: Seconds.

        Returns:
            The time that it is now.

        Raises:
            ValueError: The whole is below zero: time does not go back.
        """
        whole = (by or timedelta(0)) + timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        if whole < timedelta(0):
            raise ValueError(
                f"the clock cannot be advanced by {whole.total_seconds():g} s: time goes on only"
            )
        self._move(lambda: whole)
        return self.now()

    def until_a_run_waits(self, timeout: float = 10.0) -> timedelta:
        """Block until a run waits for the time to pass, as for its retry; for a clock that skips no waits.

        Args:
            timeout: Seconds, of the real time, after which to give up.

        Returns:
            How long the one that is due first has still to wait.

        Raises:
            TimeoutError: Nothing waits.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._timers, timeout):
                raise TimeoutError(f"no run waited for the time to pass within {timeout:g} s")
            return max(timedelta(0), self._timers[0][0] - self.now())

    # For the SDK: see ``clearway._base.clock.Clock``.

    def sleep(self, seconds: float) -> None:
        """Block this thread until so much time has passed."""
        due = self._waker(seconds)
        with unshielded():
            due.result()
        self._activity.ended()

    async def wait(self, seconds: float) -> None:
        """Return when so much time has passed."""
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
        """Call a quick function on the I/O thread when so much time has passed."""

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
        """Return the microseconds since 1970: the engine's own measure."""
        return (self.now() - _EPOCH) // _MICROSECOND

    def start(self, on_move: Callable[[], None]) -> None:
        """Begin to wake what is due.

        Args:
            on_move: Called after each jump, before anything is woken.
        """
        self._on_move = on_move
        self._thread.start()

    def close(self) -> None:
        """Stop; what still waits is woken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()

    # Its own thread.

    def _waker(self, seconds: float) -> Future[None]:
        """Return a future that is done when so much time has passed; its owner then says ``ended``."""
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
        """Return when something may be due, jumping there if everything waits."""
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
