"""Commands: queued writes that are not proposals."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple

from clearway_service.engine.budget import Call, Caller
from clearway_service.store.transaction import Transaction

Command = Callable[[Transaction], Any]

# How much of a turn the clients' commands may use, and the cost of each, relative to the writer's time for
# one proposal.
_MOST = 128
_EACH = 4
_BYTES = 1024


class Ordered(NamedTuple):
    """A queued command, with the future for its result.

    Attributes:
        command: Run in a transaction.
        future: Gets the command's result after the commit.
        call: The client's request; None for the engine itself and for clients within this process.
    """

    command: Command
    future: Future[Any]
    call: Call | None = None

    @property
    def cost(self) -> int:
        """The estimated cost to the writer, relative to a proposal."""
        return 0 if self.call is None else _EACH + self.call.size // _BYTES


class Commands:
    """Queues commands: a turn gets all of the engine's own, and a share of the clients', round robin.

    A client's commands stay in order. The engine's, such as lease renewals, never wait for a client's.
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
        """Remove and return the commands for the next turn."""
        taken, self._own = self._own, []
        rest = _MOST
        while self._queues and rest > 0:
            caller, queue = next(iter(self._queues.items()))
            ordered = queue.popleft()
            del self._queues[caller]
            if queue:  # after the other clients
                self._queues[caller] = queue
            taken.append(ordered)
            rest -= ordered.cost
        return taken
