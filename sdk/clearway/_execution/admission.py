"""How many submitted task runs of one flow run go on at once.

A run is proposed Running only when it has a permit, so that it does not count as running while it has no
thread. A run that the service lets wait for a slot gives its permit back, so that others can start meanwhile;
when it is granted, it goes on at once, above the number of permits if need be, since it holds a slot that
others wait for. Of the runs with the same tags only so many wait at the service at once: the others are held
back here.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import NamedTuple, Protocol


class Admitted(Protocol):
    """A run that asks for a permit."""

    @property
    def tags(self) -> frozenset[str]:
        """Its tags: of the runs with the same ones only so many wait at the service at once."""
        ...

    def go_on(self) -> None:
        """Go on with a permit; called by the thread that gave one back. Must be quick."""
        ...


class Gate:
    """The permits of one flow run for one kind of task.

    Attributes:
        capacity: How many there are.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = self._capacity = capacity
        self._free = capacity
        self._guard = threading.Lock()
        self._ready: deque[Admitted] = deque()
        self._held_back: dict[frozenset[str], deque[Admitted]] = {}
        self._waiting: dict[frozenset[str], int] = {}  # at the service, by tags
        self._closed = False
        self._letting_in = False

    def enter(self, run: Admitted) -> bool:
        """Take a permit for ``run``. Where there is none now, its ``go_on`` is called when there is."""
        with self._guard:
            if self._free > 0 and not self._closed and not self._crowded(run):
                self._free -= 1
                return True
            self._ready.append(run)
        return False

    def leave(self) -> None:
        """Give a permit back."""
        with self._guard:
            self._free += 1
        self._let_in()

    def wait_at_service(self, run: Admitted, *, for_slot: bool = True) -> None:
        """Give the permit of a run back that waits for a slot, or else for a run that computes its cache key.

        Only those who wait for slots hold others with their tags back: the run that is waited for may need
        those others itself.
        """
        with self._guard:
            if for_slot:
                self._waiting[run.tags] = self._waiting.get(run.tags, 0) + 1
            self._free += 1
        self._let_in()

    def granted(self, run: Admitted, *, keep: bool, for_slot: bool = True) -> None:
        """Note that a run waits at the service no more; ``keep`` takes a permit for it again."""
        with self._guard:
            if for_slot:
                self._count_out(run.tags)
            if keep:
                self._free -= 1
        self._let_in()

    def _count_out(self, tags: frozenset[str]) -> None:
        self._waiting[tags] -= 1
        if not self._waiting[tags]:
            del self._waiting[tags]
        if tags in self._held_back and self._waiting.get(tags, 0) < self._capacity:
            # One for one: all that there is room for, sent at once, would hold up a hand-off.
            self._ready.appendleft(self._take_back(tags))

    def close(self) -> None:
        """Admit no more."""
        with self._guard:
            self._closed = True
            self._ready.clear()
            self._held_back.clear()

    def _crowded(self, run: Admitted) -> bool:
        return bool(run.tags) and self._waiting.get(run.tags, 0) >= self._capacity

    def _let_in(self) -> None:
        """Let in who can go on, one after the other: by this thread, or by the one that is at it already."""
        while True:
            with self._guard:
                if self._letting_in:
                    return
                run = self._next()
                if run is None:
                    return
                self._letting_in = True
            try:
                run.go_on()
            finally:
                self._letting_in = False

    def _next(self) -> Admitted | None:
        while self._free > 0 and not self._closed:
            run = self._pick()
            if run is None:
                return None
            if self._crowded(run):
                self._held_back.setdefault(run.tags, deque()).append(run)
                continue
            self._free -= 1
            return run
        return None

    def _pick(self) -> Admitted | None:
        if self._ready:
            return self._ready.popleft()
        for tags in self._held_back:
            if tags not in self._waiting:  # otherwise another follows each that goes on
                return self._take_back(tags)
        return None

    def _take_back(self, tags: frozenset[str]) -> Admitted:
        held_back = self._held_back[tags]
        run = held_back.popleft()
        if not held_back:
            del self._held_back[tags]
        return run


class Gates(NamedTuple):
    """The permits of the task runs of one attempt of a flow run; both may be the same.

    Attributes:
        for_sync: Those of sync task runs.
        for_async: Those of async ones.
    """

    for_sync: Gate
    for_async: Gate

    def close(self) -> None:
        """Admit no more."""
        self.for_sync.close()
        self.for_async.close()
