"""Running a user's code with a timeout.

Async code is cancelled. Sync code is interrupted by an exception raised in it: in the main thread by a
signal, which also interrupts most blocking calls; in other threads by the interpreter, between two bytecode
instructions. A flow's code outside the main thread only notices the timeout when it next calls our code,
since an asynchronous exception could hit our own code in the middle of its work.

Code in a call that nothing can interrupt is given a grace period. After that the run ends without it.
"""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass

from clearway._base.settings import get_settings
from clearway._execution.deadlines.timer import TimerCall, get_timer
from clearway._execution.effects import Execute, Outcome
from clearway._waiting.deadlines import Limit, TimeIsUp, put_under, release_from
from clearway._waiting.sigint import can_be_nudged, nudge, watched


class LeftBehind(BaseException):
    """The code has ended, but the run already ended without it."""


@dataclass(slots=True)
class TimedExecute(Execute):
    """Run a user's code with a timeout; the reply is an ``Outcome``.

    Attributes:
        seconds: The timeout.
        kind: ``Task`` or ``Flow``.
        on_overrun: Called with the outcome of sync code that could not be interrupted, on a thread that must
            not block; None lets that code finish.
        leaves_behind: Whether the run has then moved to another thread, so that the code's outcome is unused.
    """

    seconds: float
    kind: str
    on_overrun: Callable[[Outcome], None] | None = None
    leaves_behind: bool = False

    def block(self) -> Outcome:
        """Run the code in this thread.

        Raises:
            LeftBehind: The run ended without the code; see ``leaves_behind``.
        """
        return _TimedCode(self).run()

    async def wait(self) -> Outcome:
        """Run the code, and await what it returns; cancels it at the timeout."""
        import asyncio  # noqa: PLC0415 - sync flows need no asyncio

        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.seconds
        limit = asyncio.timeout_at(deadline)
        outcome = Outcome()
        with suppress(TimeoutError):  # the limit's; one raised by the code is in the outcome
            async with limit:
                outcome = await Execute.wait(self)
        # Code that blocks the loop past its deadline ends before the loop can cancel it.
        return self.timed_out() if limit.expired() or loop.time() >= deadline else outcome

    @property
    def message(self) -> str:
        """The message of a run that timed out."""
        return f"{self.kind} run timed out after {self.seconds:g} s"

    def timed_out(self, more: str = "") -> Outcome:
        """Return the outcome of code that timed out."""
        return Outcome(error=TimeoutError(self.message + more), timed_out=True)


class _Way(enum.Enum):
    """How code is stopped at its timeout."""

    SIGNAL = enum.auto()  # in the main thread; also interrupts most blocking calls
    EXCEPTION = enum.auto()  # raised by the interpreter, before the thread's next instruction
    LOOK = enum.auto()  # raised when the code next calls or waits for something of ours


class _Stage(enum.Enum):
    """How far code with a timeout has come."""

    RUNNING = enum.auto()
    ENDED = enum.auto()
    OVERRUN = enum.auto()  # it could not be interrupted, and the run continues without it


def _way(effect: TimedExecute, *, in_main: bool) -> _Way:
    if in_main and can_be_nudged():
        return _Way.SIGNAL
    return _Way.EXCEPTION if effect.kind == "Task" else _Way.LOOK


class _TimedCode:
    """One call of sync code with a timeout."""

    def __init__(self, effect: TimedExecute) -> None:
        self._effect = effect
        self._limit = Limit(effect.seconds, effect.message)
        self._thread = threading.get_ident()
        self._in_main = threading.current_thread() is threading.main_thread()
        self._way = _way(effect, in_main=self._in_main)
        self._guard = threading.Lock()
        self._timer_call: TimerCall | None = None
        self._stage = _Stage.RUNNING
        self._ended_late = False

    def run(self) -> Outcome:
        with watched() if self._in_main else nullcontext():
            outcome = self._limited()
        if self._stage is _Stage.OVERRUN and self._effect.leaves_behind:
            raise LeftBehind
        return self._effect.timed_out() if self._limit.expired or self._ended_late else outcome

    def _limited(self) -> Outcome:
        try:
            try:
                self._begin()
                return Execute.block(self._effect)
            finally:
                self._close()
        except TimeIsUp as up:
            if up.limit is not (None if self._way is _Way.EXCEPTION else self._limit):
                raise
            return Outcome()
        finally:
            self._end()

    def _begin(self) -> None:
        if self._way is not _Way.EXCEPTION:
            put_under(self._limit)
        self._timer_call = get_timer().call_later(self._effect.seconds, self._expire)

    def _close(self) -> None:
        """Make sure that this limit raises nothing from here on."""
        with self._guard:
            self._limit.over = True
        # A call that holds the GIL past the deadline can return before the timer thread runs.
        self._ended_late = time.monotonic() >= self._limit.deadline
        if self._limit.expired and self._way is _Way.EXCEPTION:
            _raise_in(self._thread, None)  # it may still be pending

    def _end(self) -> None:
        release_from(self._limit)
        with self._guard:
            self._limit.over = True
            if self._stage is _Stage.RUNNING:
                self._stage = _Stage.ENDED
            if self._timer_call is not None:
                self._timer_call.cancel()

    # Called by the timer thread.

    def _expire(self) -> None:
        with self._guard:
            if self._limit.over:
                return
            self._limit.expire()
            if self._way is _Way.EXCEPTION:
                _raise_in(self._thread, TimeIsUp)
            elif self._way is _Way.SIGNAL:
                nudge()
            if self._effect.on_overrun is not None:
                self._timer_call = get_timer().call_later(get_settings().timeout_grace, self._give_up)

    def _give_up(self) -> None:
        with self._guard:
            on_overrun = self._effect.on_overrun
            if self._stage is not _Stage.RUNNING or on_overrun is None:
                return
            self._stage = _Stage.OVERRUN
            grace = get_settings().timeout_grace
            more = f", and its code could not be interrupted for {grace:g} s more: it may still run"
            on_overrun(self._effect.timed_out(more))


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Raise an exception in a thread before its next instruction; None cancels a pending one."""
    import ctypes  # noqa: PLC0415 - seldom needed

    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), None if error is None else ctypes.py_object(error)
    )
