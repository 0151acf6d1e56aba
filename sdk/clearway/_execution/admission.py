"""Limiting how many submitted task runs of one flow run are active at once.

A run needs a permit before it is proposed as Running, so that no run counts as running without a thread. A
run that the service queues for a slot gives its permit back, so that others can start. Once granted it
continues at once, beyond the limit if need be, because it now holds a slot that other runs wait for. Of the
runs with equal tags, only as many wait at the service as there are permits; the rest are held back here.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import NamedTuple, Protocol


class Admitted(Protocol):
    """A run that needs a permit."""

    @property
    def tags(self) -> frozenset[str]:
        """Its tags; the number of waiting runs with equal tags is limited."""
        ...

    def go_on(self) -> None:
        """Continue with a permit; called on the thread that gave one back. Must be quick."""
        ...


class Gate:
    """The permits of one flow run for sync tasks, for async tasks, or for both.

    Attributes:
        capacity: How many there are.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = self._capacity = capacity
        self._free = capacity
        self._guard = threading.Lock()
        self._ready: deque[Admitted] = deque()
        self._held_back: dict[frozenset[str], deque[Admitted]] = {}
        self._waiting: dict[frozenset[str], int] = {}  # how many runs wait at the service, by tags
        self._closed = False
        self._letting_in = False

    def enter(self, run: Admitted) -> bool:
        """Take a permit; if none is free, return False and call the run's ``go_on`` when one is."""
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
        """Give a run's permit back while it waits for a slot, or for another run to compute its cache key.

        Only runs that wait for slots hold back others with equal tags. A run that waits for a cache key must
        not: the run that computes it may depend on those others.
        """
        with self._guard:
            if for_slot:
                self._waiting[run.tags] = self._waiting.get(run.tags, 0) + 1
            self._free += 1
        self._let_in()

    def granted(self, run: Admitted, *, keep: bool, for_slot: bool = True) -> None:
        """Note that a run's wait at the service is over; ``keep`` takes its permit back."""
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
            # One at a time: sending all that now fit would delay the run that was just granted.
            self._ready.appendleft(self._take_back(tags))

    def close(self) -> None:
        """Admit no more runs."""
        with self._guard:
            self._closed = True
            self._ready.clear()
            self._held_back.clear()

    def _crowded(self, run: Admitted) -> bool:
        return bool(run.tags) and self._waiting.get(run.tags, 0) >= self._capacity

    def _let_in(self) -> None:
        """Admit runs until no permit is free; returns at once if another thread is already doing so."""
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
            if tags not in self._waiting:  # otherwise `_count_out` admits the next one
                return self._take_back(tags)
        return None

    def _take_back(self, tags: frozenset[str]) -> Admitted:
        held_back = self._held_back[tags]
        run = held_back.popleft()
        if not held_back:
            del self._held_back[tags]
        return run


class Gates(NamedTuple):
    """The permits of the task runs of one attempt of a flow run; both gates may be the same.

    Attributes:
        for_sync: For sync task runs.
        for_async: For async task runs.
    """

    for_sync: Gate
    for_async: Gate

    def close(self) -> None:
        """Admit no more runs."""
        self.for_sync.close()
        self.for_async.close()
