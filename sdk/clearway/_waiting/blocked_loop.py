"""Blocking the thread of a running event loop, as a call of a sync task in an async flow does.

Meanwhile the code on the loop stands still. If what is waited for needs it, the wait would never end, so
that is checked now and then.
"""

from __future__ import annotations

import math
import sys
import time
from _thread import LockType, allocate_lock
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from clearway._waiting.sigint import shielded, wait_for_lock, watched
from clearway.exceptions import Deadlock

if TYPE_CHECKING:
    import asyncio

    from clearway._transport.decision_future import Answered

_FIRST_SECONDS: Final = 0.05  # most waits are over by then
_MAX_SECONDS: Final = 1.0


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs in this thread, if there is one."""
    loaded = sys.modules.get("asyncio")
    loop: asyncio.AbstractEventLoop | None = None if loaded is None else loaded._get_running_loop()  # noqa: SLF001 - does not raise
    return loop


def wait_on_loop(lock: LockType, timeout: float | None, check: Callable[[], None]) -> bool:
    """Acquire a lock that another thread releases, in the thread of a running event loop.

    Args:
        lock: The lock.
        timeout: Seconds to wait at most; None waits as long as it takes.
        check: Raises if the wait would never end; called now and then, at most once a second.

    Returns:
        Whether it was in time.

    Raises:
        KeyboardInterrupt: At the first Ctrl-C.
    """
    until = math.inf if timeout is None else time.monotonic() + max(timeout, 0.0)
    pause = _FIRST_SECONDS
    with watched(), shielded():
        while not wait_for_lock(lock, min(until - time.monotonic(), pause)):
            if time.monotonic() >= until:
                return False
            check()
            pause = min(2 * pause, _MAX_SECONDS)
    return True


def wait_told_on_loop(future: Answered[Any], check: Callable[[], None]) -> None:
    """Block as ``wait_told``, in the thread of a running event loop; ``check`` as for ``wait_on_loop``."""
    lock = allocate_lock()
    lock.acquire()
    future.add_done_callback(lambda _: lock.release())
    wait_on_loop(lock, None, check)


def refuse_deadlock(held_up: Callable[[], str]) -> None:
    """Raise if there is a reason for which a wait would never end.

    Args:
        held_up: Returns the reason, which ends with a run that needs the event loop; empty if there is none.

    Raises:
        Deadlock: There is one.
    """
    reason = held_up()
    if reason:
        raise Deadlock(
            f"this call would never return: {reason}, which needs the event loop that this call blocks; "
            "await that run first"
        )
