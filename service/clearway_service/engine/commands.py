"""Commands that wait for their turn: what is not a proposal, and writes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple

from clearway_service.engine.budget import Call, Caller
from clearway_service.store.transaction import Transaction

Command = Callable[[Transaction], Any]

# What commands of clients may take of a turn, and what each takes, where a proposal takes 1: by what they
# take of the writer's time.
_MOST = 128
_EACH = 4
_BYTES = 1024


class Ordered(NamedTuple):
    """A command, what has its result, and the request that it is for.

    Attributes:
        command: Run in a transaction.
        future: Has what the command returned, once that is committed.
        call: The client's request; None for the engine itself, and for clients within this process.
    """

    command: Command
    future: Future[Any]
    call: Call | None = None

    @property
    def cost(self) -> int:
        """What it probably takes of the writer's time, where a proposal takes 1."""
        return 0 if self.call is None else _EACH + self.call.size // _BYTES


class Commands:
    """Commands in turns: all of the engine's own at once, and of those of clients a part, from each in turn.

    A client's own commands stay in their order. The engine's, such as the renewal of leases, wait for no
    client's.
    """

    def __init__(self) -> None:
        self._own: list[Ordered] = []
        self._queues: dict[Caller, deque[Ordered]] = {}

    def __bool__(self) -> bool:
        return bool(self._own or self._queues)

    def add(self, ordered: Ordered) -> None:
        """Add a command."""
        if ordered.call is None:
            self._own.append(ordered)
        else:
            self._queues.setdefault(ordered.call.caller, deque()).append(ordered)

    def take(self) -> list[Ordered]:
        """Take those that are next."""
        taken, self._own = self._own, []
        rest = _MOST
        while self._queues and rest > 0:
            caller, queue = next(iter(self._queues.items()))
            ordered = queue.popleft()
            del self._queues[caller]
            if queue:  # behind the other clients
                self._queues[caller] = queue
            taken.append(ordered)
            rest -= ordered.cost
        return taken
