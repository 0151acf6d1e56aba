"""The budget: how much memory what clients have under way may take, in bytes, each and all together."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from typing import NamedTuple

from clearway_service.turns import Turns

# A client that holds less than this is served even where others have used up the total.
LEAST_BYTES = 256 * 1024


class Budget:
    """Bytes of requests without a decision, and of decisions that their client has not taken.

    A client may hold as much as is free, and never more than ``each``: half of that in requests, half in
    decisions. So many large clients share the total evenly, and always leave as much as one of them has for
    the next client to come. Safe from any thread.

    Args:
        total: What all clients may hold together.
        each: What one client may hold.

    Attributes:
        large: Turns for messages of more than ``LEAST_BYTES``, which streams take while the total is used up.

    Source: dynamic queue thresholds, as switches share one memory between ports (Choudhury and Hahne, 1998).
    """

    def __init__(self, total: int, each: int) -> None:
        self._lock = threading.Lock()
        self._total = total
        self._each = each
        self._used = 0
        self.large = Turns(1)
        self._watching: set[Caller] = set()
        self._peers: weakref.WeakValueDictionary[str, Caller] = weakref.WeakValueDictionary()

    @property
    def used(self) -> int:
        """What all clients hold together, in bytes."""
        return self._used

    @property
    def full(self) -> bool:
        """Whether the total is used up: each client is left ``LEAST_BYTES`` and no more."""
        return self._total - self._used <= 2 * LEAST_BYTES

    def caller(self) -> Caller:
        """Return a new client, which holds nothing."""
        return Caller(self)

    def caller_at(self, peer: str) -> Caller:
        """Return the client at an address: the same one for all of its calls under way."""
        with self._lock:
            caller = self._peers.get(peer)
            if caller is None:
                caller = self._peers[peer] = Caller(self)
            return caller

    def share(self) -> int:
        """Return how many bytes of requests, and as many of decisions, each client may hold now."""
        return max(LEAST_BYTES, min(self._each, self._total - self._used) // 2)

    def change(self, caller: Caller, requests: int, decisions: int) -> None:
        """Add to what a client holds, or take from it, and call those that have room now."""
        with self._lock:
            self._change(caller, requests, decisions)
            ready = self._ready() if self._watching and requests + decisions < 0 else []
        for callback in ready:
            callback()

    def watch(self, caller: Caller, callback: Callable[[], None], *, reading: bool) -> bool:
        """Return True if the client has room; otherwise have ``callback`` called once, when it has."""
        with self._lock:
            share = self.share()
            if caller.may_read(share) if reading else caller.room(share) > 0:
                return True
            if reading:
                caller.on_read = callback
            else:
                caller.on_room = callback
            self._watching.add(caller)
            return False

    def forget(self, caller: Caller) -> None:
        """Count no more decisions of a client that has gone, and let what it asked for be decided."""
        with self._lock:
            self._change(caller, 0, -caller.decisions)
            caller.gone = True
            ready = self._ready()
        for callback in ready:
            callback()

    def _change(self, caller: Caller, requests: int, decisions: int) -> None:
        if caller.gone:
            decisions = 0
        caller.requests += requests
        caller.decisions += decisions
        self._used += requests + decisions

    def _ready(self) -> list[Callable[[], None]]:
        """Return what is to be called, now that more is free."""
        share = self.share()
        ready = [callback for caller in self._watching for callback in caller.ready(share)]
        if ready:
            self._watching = {caller for caller in self._watching if caller.watched}
        return ready


class Caller:
    """One client: a stream, or the connection that unary calls come from.

    Attributes:
        requests: Bytes of its requests that have no decision yet.
        decisions: Bytes of decisions that it has not taken yet.
        expected: How large its next decision probably is, in bytes. The pipeline's thread's.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.requests = 0
        self.decisions = 0
        self.gone = False
        self.on_read: Callable[[], None] | None = None
        self.on_room: Callable[[], None] | None = None
        self.expected = 1024

    def take_in(self, size: int) -> None:
        """Count a request."""
        self._budget.change(self, size, 0)

    def settle(self, size: int) -> None:
        """Count a request no longer: it is decided, or refused."""
        self._budget.change(self, -size, 0)

    def owe(self, size: int) -> None:
        """Count decisions that the client has to take."""
        self._budget.change(self, 0, size)

    def sent(self, size: int) -> None:
        """Count decisions no longer: the client has taken them."""
        self._budget.change(self, 0, -size)

    def leave(self) -> None:
        """Count no more decisions: the client is gone. What it asked for is decided all the same."""
        self._budget.forget(self)

    def may_read(self, share: int | None = None) -> bool:
        """Return whether another request of it may be taken in."""
        share = self._budget.share() if share is None else share
        return self.gone or self.requests + self.decisions < share

    def room(self, share: int | None = None) -> int:
        """Return how many bytes of decisions may be made for it now; 0 or less for none."""
        share = self._budget.share() if share is None else share
        return share if self.gone else share - self.decisions

    def when_readable(self, callback: Callable[[], None]) -> bool:
        """Return True if ``may_read``; otherwise have ``callback`` called, on any thread, when it does."""
        return self._budget.watch(self, callback, reading=True)

    def when_room(self, callback: Callable[[], None]) -> bool:
        """Return True if there is ``room``; otherwise have ``callback`` called, on any thread."""
        return self._budget.watch(self, callback, reading=False)

    @property
    def watched(self) -> bool:
        """Whether anything is to be called when there is room."""
        return self.on_read is not None or self.on_room is not None

    def ready(self, share: int) -> list[Callable[[], None]]:
        """Return what is to be called now; called by the budget, under its lock."""
        called = []
        if self.on_read is not None and self.may_read(share):
            called.append(self.on_read)
            self.on_read = None
        if self.on_room is not None and self.room(share) > 0:
            called.append(self.on_room)
            self.on_room = None
        return called


class Call(NamedTuple):
    """A request that is being served: whose it is, and how many bytes it has."""

    caller: Caller
    size: int


current_call: ContextVar[Call | None] = ContextVar("current_call", default=None)
"""The unary call that the present task serves; None within the process of the engine."""
