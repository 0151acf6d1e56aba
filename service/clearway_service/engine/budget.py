"""The budget: bounds the memory for clients' pending requests and decisions, per client and in total."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from typing import NamedTuple

from clearway_service.fair_semaphore import FairSemaphore

# A client that holds less than this is served even if others have used up the total.
LEAST_BYTES = 256 * 1024


class Budget:
    """Counts the bytes of undecided requests, and of decisions that clients have not received yet.

    A client may hold as much as is free, up to ``each``: half of it in requests, half in decisions. So
    large clients share the total evenly, and always leave as much as one of them holds for the next client.
    Thread-safe.

    Args:
        total: The bytes that all clients together may hold.
        each: The bytes that one client may hold.

    Attributes:
        large: Held by a stream while it reads a message of more than ``LEAST_BYTES`` with the total used up.

    Source: dynamic queue thresholds, by which switches share buffer memory (Choudhury and Hahne, 1998).
    """

    def __init__(self, total: int, each: int) -> None:
        self._lock = threading.Lock()
        self._total = total
        self._each = each
        self._used = 0
        self.large = FairSemaphore(1)
        self._watching: set[Caller] = set()
        self._peers: weakref.WeakValueDictionary[str, Caller] = weakref.WeakValueDictionary()

    @property
    def used(self) -> int:
        """The bytes that all clients together hold."""
        return self._used

    @property
    def full(self) -> bool:
        """Whether the total is used up, so that each client is left with ``LEAST_BYTES``."""
        return self._total - self._used <= 2 * LEAST_BYTES

    def caller(self) -> Caller:
        """Return a new client that holds nothing."""
        return Caller(self)

    def caller_at(self, peer: str) -> Caller:
        """Return the client at an address; concurrent calls from one address share it."""
        with self._lock:
            caller = self._peers.get(peer)
            if caller is None:
                caller = self._peers[peer] = Caller(self)
            return caller

    def share(self) -> int:
        """Return how many bytes each client may hold now in requests, and as many again in decisions."""
        return max(LEAST_BYTES, min(self._each, self._total - self._used) // 2)

    def change(self, caller: Caller, requests: int, decisions: int) -> None:
        """Change what a client holds, and run the callbacks of clients that now have room."""
        with self._lock:
            if caller.gone:
                decisions = 0
            caller.requests += requests
            caller.decisions += decisions
            self._used += requests + decisions
            if not self._watching or requests + decisions >= 0:
                return
            ready = self._ready()
        for callback in ready:
            callback()

    def watch(self, caller: Caller, callback: Callable[[], None], *, reading: bool) -> bool:
        """Return True if the client has room; otherwise register ``callback`` to run once when it has."""
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
        """Stop counting the decisions of a client that disconnected, so that its requests are decided."""
        with self._lock:
            self._used -= caller.decisions
            caller.decisions = 0
            caller.gone = True
            ready = self._ready()
        for callback in ready:
            callback()

    def _ready(self) -> list[Callable[[], None]]:
        """Return the callbacks to run now that more is free."""
        share = self.share()
        ready = [callback for caller in self._watching for callback in caller.ready(share)]
        if ready:
            self._watching = {caller for caller in self._watching if caller.watched}
        return ready


class Caller:
    """One client: a stream, or the connection that unary calls come from.

    Attributes:
        requests: Bytes of its undecided requests.
        decisions: Bytes of decisions that it has not received yet.
        expected: The probable size of its next decision, in bytes. Belongs to the pipeline's thread.
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
        """Stop counting a request that was decided or refused."""
        self._budget.change(self, -size, 0)

    def owe(self, size: int) -> None:
        """Count decisions that the client has yet to receive."""
        self._budget.change(self, 0, size)

    def sent(self, size: int) -> None:
        """Stop counting decisions that the client has received."""
        self._budget.change(self, 0, -size)

    def leave(self) -> None:
        """Stop counting decisions: the client disconnected. Its requests are decided nevertheless."""
        self._budget.forget(self)

    def may_read(self, share: int | None = None) -> bool:
        """Return whether another request of the client may be read."""
        share = self._budget.share() if share is None else share
        return self.gone or self.requests + self.decisions < share

    def room(self, share: int | None = None) -> int:
        """Return how many bytes of decisions the client has room for now; 0 or less for none."""
        share = self._budget.share() if share is None else share
        return share if self.gone else share - self.decisions

    def when_readable(self, callback: Callable[[], None]) -> bool:
        """Return True if ``may_read``; otherwise register ``callback`` to run, on any thread, when it may."""
        return self._budget.watch(self, callback, reading=True)

    def when_room(self, callback: Callable[[], None]) -> bool:
        """Return True if there is ``room``; otherwise register ``callback`` to run, on any thread."""
        return self._budget.watch(self, callback, reading=False)

    @property
    def watched(self) -> bool:
        """Whether a callback is registered."""
        return self.on_read is not None or self.on_room is not None

    def ready(self, share: int) -> list[Callable[[], None]]:
        """Return the callbacks to run now; the budget calls this under its lock."""
        called = []
        if self.on_read is not None and self.may_read(share):
            called.append(self.on_read)
            self.on_read = None
        if self.on_room is not None and self.room(share) > 0:
            called.append(self.on_room)
            self.on_room = None
        return called


class Call(NamedTuple):
    """A request that is being served: its client and its size in bytes."""

    caller: Caller
    size: int


current_call: ContextVar[Call | None] = ContextVar("current_call", default=None)
"""The unary call that the current task serves; None for calls within the engine's process."""
