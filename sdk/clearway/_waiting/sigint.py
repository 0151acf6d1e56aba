"""Handling Ctrl-C while a sync flow runs in the main thread.

Python raises ``KeyboardInterrupt`` between any two instructions: also just after a lock was taken, which is
then never released, or in a callback of the garbage collector, which discards it. So while a flow runs, an
interrupt that hits our own code in the main thread is deferred until that code reaches a safe point. In the
user's code, and while we wait for something, it is raised at once; so is a second interrupt.

Timeouts work the same way (see ``deadlines``): the main thread gets a signal, and other threads that run
flows check at the points where an interrupt could be raised.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from _thread import LockType, allocate_lock
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any

from clearway._waiting.deadlines import limits, raise_overdue, seconds_left

if TYPE_CHECKING:
    from clearway._transport.decision_future import Answered

_NUDGE = getattr(signal, "SIGURG", None)  # ignored by default, so one that comes too late does no harm


class _MainThread:
    """The state of the main thread."""

    def __init__(self) -> None:
        self.ident = 0  # of the thread whose interrupts are handled here; 0 for none
        self.shielded = False
        self.pending = False


_main = _MainThread()


def _on_interrupt(_number: int, _frame: FrameType | None) -> None:
    if _main.shielded and not _main.pending:
        _main.pending = True
        return
    _main.pending = False
    raise KeyboardInterrupt


@contextmanager
def watched() -> Iterator[None]:
    """Handle interrupts in the block, if this is the main thread and they are not handled already.

    Asyncio handles them in a coroutine, but only notes the first one until the event loop continues.
    """
    if _main.ident or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    takes_interrupts = before is signal.default_int_handler or _is_of_asyncio(before)
    _main.shielded = _main.pending = False
    _main.ident = threading.get_ident()
    if takes_interrupts:
        signal.signal(signal.SIGINT, _on_interrupt)
    try:
        yield
    finally:
        if takes_interrupts:
            signal.signal(signal.SIGINT, before)
        _main.ident = 0


def _is_of_asyncio(handler: object) -> bool:
    return isinstance(handler, partial) and getattr(handler.func, "__module__", "") == "asyncio.runners"


def can_be_nudged() -> bool:
    """Return whether ``nudge`` works: not if the signal is in use. Call this on the main thread."""
    if _NUDGE is None or not hasattr(signal, "pthread_kill"):
        return False
    if signal.getsignal(_NUDGE) in (signal.SIG_DFL, signal.SIG_IGN):
        signal.signal(_NUDGE, _on_nudge)
    return signal.getsignal(_NUDGE) is _on_nudge


def nudge() -> None:
    """Make the main thread check its timeouts, also in most blocking calls."""
    if _NUDGE is not None:
        signal.pthread_kill(threading.main_thread().ident or 0, _NUDGE)


def _on_nudge(_number: int, _frame: FrameType | None) -> None:
    if not _main.shielded:
        raise_overdue()


class shielded:  # noqa: N801 - used as a function; a class because every task run pays for it
    """Defer an interrupt until the block, which is the SDK's own code, is left."""

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before: bool | None = None
        if _main.ident and _main.ident == threading.get_ident():
            self._before = _main.shielded
            _main.shielded = True

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if self._before is not False:
            return
        _main.shielded = False
        if _main.pending:
            _main.pending = False
            if not isinstance(error, KeyboardInterrupt):
                raise KeyboardInterrupt
        if limits:
            raise_overdue()


class unshielded:  # noqa: N801 - as above
    """Let an interrupt be raised in the block, which is the user's code or waits for something."""

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before = _main.shielded and _main.ident == threading.get_ident()
        if not self._before:
            if limits:
                raise_overdue()
            return
        try:
            _main.shielded = False
            _raise_pending()
            if limits:
                raise_overdue()
        except BaseException:
            _main.shielded = True
            raise

    def __exit__(self, *_: object) -> None:
        if self._before:
            _main.shielded = True


def _raise_pending() -> None:
    if _main.pending:
        _main.pending = False
        raise KeyboardInterrupt


def shield_again() -> None:
    """Defer interrupts again, after one that may have come on the way back to the SDK's code."""
    if _main.ident and _main.ident == threading.get_ident():
        _main.shielded = True


def wait_for_lock(lock: LockType, timeout: float | None = None) -> bool:
    """Acquire a lock that another thread releases; return False on a timeout. Can be interrupted."""
    with unshielded():
        if limits:
            return _acquire_in_time(lock, timeout)
        return lock.acquire(timeout=-1 if timeout is None else max(timeout, 0.0))


def _acquire_in_time(lock: LockType, timeout: float | None) -> bool:
    """Do the same as ``wait_for_lock``, and check this thread's own timeouts meanwhile."""
    until = math.inf if timeout is None else time.monotonic() + max(timeout, 0.0)
    while True:
        left = min(until - time.monotonic(), seconds_left() or math.inf)
        if lock.acquire(timeout=-1 if left == math.inf else max(left, 0.0)):
            return True
        raise_overdue()
        if time.monotonic() >= until:
            return False


def wait_told(future: Answered[Any], timeout: float | None = None) -> bool:
    """Block until a future is done and its callbacks have been called; return False on a timeout.

    ``concurrent.futures.wait`` returns before the callbacks are called.
    """
    lock = allocate_lock()
    lock.acquire()
    future.add_done_callback(lambda _: lock.release())
    return wait_for_lock(lock, timeout)
