"""Daemon threads for the code of submitted sync tasks."""

from __future__ import annotations

import itertools
import os
import threading
from _thread import LockType, allocate_lock
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clearway._definition.task_runner import TaskCall

_IDLE_SECONDS = 10.0
_here = threading.local()


class Threads:
    """Daemon threads that share a queue of work, started one at a time and only while work is queued.

    The callers bound how many there are (see ``admission``). When several items arrive together, only the
    first wakes a thread; that thread wakes the next one if it finds more work. So a few threads, without a
    switch for each item, do work that never blocks, while work that blocks still gets as many as it needs.

    They are daemons because code that was interrupted cannot be stopped, and must not keep the process from
    exiting.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._numbers = itertools.count(1)
        self._guard = threading.Lock()
        self._items: deque[Callable[[], None]] = deque()
        self._parked: list[LockType] = []
        self._waking = False  # a thread was woken and has not looked at the queue yet

    def submit(self, work: Callable[[], None]) -> None:
        """Have ``work`` called on one of the threads. It must not raise."""
        with self._guard:
            self._items.append(work)
            if self._waking:
                return
            self._waking = True
            lock = self._parked.pop() if self._parked else None
        self._wake(lock)

    def _wake(self, lock: LockType | None) -> None:
        if lock is not None:
            lock.release()
        else:
            name = f"{self._name}-{next(self._numbers)}"
            threading.Thread(target=self._run, name=name, daemon=True).start()

    @staticmethod
    def is_current() -> bool:
        """Return whether the caller runs on such a thread, and may therefore block."""
        return getattr(_here, "is_ours", False)

    def _run(self) -> None:
        _here.is_ours = True
        lock = allocate_lock()
        lock.acquire()
        woken = True
        while True:
            with self._guard:
                if woken:
                    self._waking = woken = False
                work = self._items.popleft() if self._items else None
                more = bool(self._items) and not self._waking
                if more:
                    self._waking = True
                    next_lock = self._parked.pop() if self._parked else None
                if work is None:
                    self._parked.append(lock)
            if more:
                self._wake(next_lock)
            if work is not None:
                work()
                del work
            elif not self._parked_until_woken(lock):
                return
            else:
                woken = True

    def _parked_until_woken(self, lock: LockType) -> bool:
        if lock.acquire(timeout=_IDLE_SECONDS):
            return True
        with self._guard:
            if lock in self._parked:
                self._parked.remove(lock)
                return False
        lock.acquire()  # woken just after the timeout
        return True


class ThreadExecutor:
    """Executes the calls of task runs on this process's threads. Running code cannot be stopped."""

    def execute(self, call: TaskCall) -> None:
        """Queue a call, and return at once."""
        get_threads().submit(call.run)

    def cancel(self, call: TaskCall) -> None:
        """Do nothing: the call's outcome is ignored anyway."""

    def stop(self) -> None:
        """Do nothing: idle threads end by themselves."""


_threads = Threads("clearway-worker")


def get_threads() -> Threads:
    """Return this process's threads."""
    return _threads


def _after_fork_in_child() -> None:
    global _threads  # noqa: PLW0603 - one per process
    _threads = Threads("clearway-worker")


os.register_at_fork(after_in_child=_after_fork_in_child)
