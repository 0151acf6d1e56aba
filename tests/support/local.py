"""A client of a service in this process, with decisions awaited by proposal id."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from clearway.v1.proposal_pb2 import Decision, Hello, Proposal, ProposeResponse
from clearway_service.api.session_connection import Connection
from clearway_service.engine.budget import Caller
from clearway_service.service import Service
from support.waiting import DEADLINE_SECONDS


class LocalClient:
    """A connection to a service.

    Args:
        service: The service.
        name: The client's name.
        caller: Its share of the budget, as for a client in another process; None for no accounting.
    """

    def __init__(self, service: Service, name: str = "local", caller: Caller | None = None) -> None:
        self._changed = threading.Condition()
        self._decisions: dict[str, list[Decision]] = defaultdict(list)
        self.on_decisions: Callable[[ProposeResponse], None] = _nothing
        self.connection: Connection = service.connector.connect(
            Hello(client_name=name), self._deliver, caller=caller
        )

    def _deliver(self, response: ProposeResponse) -> None:
        with self._changed:
            for decision in response.decisions:
                self._decisions[decision.proposal_id].append(decision)
            self._changed.notify_all()
        self.on_decisions(response)

    def propose(self, *proposals: Proposal) -> None:
        """Submit proposals together."""
        self.connection.propose(proposals)

    def decisions(self, proposal_id: str, count: int = 1) -> list[Decision]:
        """Return all decisions on a proposal, once there are ``count``."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        with self._changed:
            while len(self._decisions[proposal_id]) < count:
                assert self._changed.wait(deadline - time.monotonic()), f"no decision about {proposal_id}"
            return list(self._decisions[proposal_id])

    def forget(self) -> None:
        """Drop the decisions so far."""
        with self._changed:
            self._decisions.clear()

    def decide(self, proposal: Proposal) -> Decision:
        """Propose, and return the first decision."""
        self.propose(proposal)
        return self.decisions(proposal.id)[0]

    @contextmanager
    def engine_held(self, proposal: Proposal) -> Iterator[None]:
        """Propose, and block the engine's thread in delivering the decision until the block is left.

        So everything submitted within the block is decided in one turn afterwards.
        """
        held, go_on = threading.Event(), threading.Event()

        def hold(_response: ProposeResponse) -> None:
            self.on_decisions = _nothing
            held.set()
            assert go_on.wait(DEADLINE_SECONDS)

        self.on_decisions = hold
        self.propose(proposal)
        assert held.wait(DEADLINE_SECONDS)
        try:
            yield
        finally:
            go_on.set()

    def settle(self) -> None:
        """Wait until every proposal so far has a decision."""
        self.connection.settled().result(DEADLINE_SECONDS)


def _nothing(_response: ProposeResponse) -> None:
    """Ignore a decision."""
