"""Proposals that were made and have no final decision yet."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from clearway._base.backoff import Backoff
from clearway._transport.decision_future import DecisionFuture
from clearway._transport.errors import exception_for
from clearway.v1 import error_pb2, state_pb2
from clearway.v1.proposal_pb2 import Decision, Proposal

_log = logging.getLogger("clearway.transport")

_TRY_AGAIN: Final = frozenset(
    {
        error_pb2.ERROR_REASON_SHUTTING_DOWN,
        error_pb2.ERROR_REASON_STORE_UNAVAILABLE,
    }
)
_RUNNING: Final = state_pb2.STATE_TYPE_RUNNING
_REFUSED: Final = Backoff(first=0.05, longest=2.0)


@dataclass(slots=True, eq=False)
class PendingProposal:
    """One proposal and who waits for it.

    Attributes:
        proposal: What was proposed.
        on_wait: Told of a wait in the service's queue.
        future: Resolved with the final decision.
        stream: The number of the stream that carried it last; 0 before.
    """

    proposal: Proposal
    on_wait: Callable[[Decision], None] | None
    future: DecisionFuture = field(default_factory=DecisionFuture)
    stream: int = 0
    _refusals: int = 0
    _refused_since: float = 0.0

    def resolve(self, decision: Decision) -> None:
        """Hand over the final decision."""
        if not self.future.resolve(decision):  # cancelled at the same moment
            _log.debug("nobody waits any more for the decision about %s", decision.run_id)

    def fail(self, error: Exception) -> None:
        """Hand over an exception."""
        if not self.future.fail(error):
            _log.debug("nobody waits any more for what failed: %s", error)

    def refused(self, patience: float, draw: Callable[[], float]) -> float | None:
        """Note that the service could not take the proposal now.

        Returns:
            After how many seconds to send it again; None when that has gone on for longer than ``patience``.
        """
        now = time.monotonic()
        self._refused_since = self._refused_since or now
        if now - self._refused_since > patience:
            return None
        self._refusals += 1
        return _REFUSED.delay(self._refusals, draw)


class PendingProposals:
    """All of them, in the order in which they were made. Safe for use by many threads."""

    # Each method touches the dictionary in single steps, which are atomic; who takes an entry out resolves
    # it.

    def __init__(
        self,
        patience: float,
        send_again: Callable[[float, PendingProposal], None],
        draw: Callable[[], float] = random.random,
    ) -> None:
        """Make an empty collection.

        Args:
            patience: For how many seconds the service may refuse a proposal that it could take later.
            send_again: Called with a delay in seconds and the proposal that is to be sent again after it.
            draw: Returns a number in [0, 1] by which delays are spread; tests give one.
        """
        self._entries: dict[str, PendingProposal] = {}
        self._running: set[str] = set()
        self._patience = patience
        self._send_again = send_again
        self._draw = draw

    def add(self, proposal: Proposal, on_wait: Callable[[Decision], None] | None) -> PendingProposal:
        """Take up a proposal, which must then be sent."""
        entry = PendingProposal(proposal, on_wait)
        self._entries[proposal.id] = entry
        return entry

    def is_pending(self, entry: PendingProposal) -> bool:
        """Return whether somebody still waits for the decision."""
        return self._entries.get(entry.proposal.id) is entry

    def all(self) -> list[PendingProposal]:
        """Return all that are pending."""
        return list(self._entries.values())

    def withdraw(self, proposal_id: str) -> PendingProposal | None:
        """Forget a proposal and cancel its future; return it if it was pending."""
        entry = self._entries.pop(proposal_id, None)
        if entry is not None:
            entry.future.cancel()
        return entry

    def settle(self, decisions: Iterable[Decision]) -> bool:
        """Hand out decisions. One for a proposal that nobody waits for is ignored.

        Returns:
            Whether the session has expired; then what was refused for that stays pending, for a new session.
        """
        expired = False
        for decision in decisions:
            answer = decision.WhichOneof("answer")
            if answer == "wait" and decision.wait.queued:
                self._tell_wait(decision)
            elif answer == "error":
                if decision.error.reason == error_pb2.ERROR_REASON_SESSION_EXPIRED:
                    expired = True
                else:
                    self._settle_error(decision)
            else:
                if answer == "accept" and decision.state.type == _RUNNING:
                    self._running.add(decision.run_id)
                else:
                    self._running.discard(decision.run_id)
                entry = self._entries.pop(decision.proposal_id, None)
                if entry is not None:
                    entry.resolve(decision)
        return expired

    def take_running(self) -> frozenset[str]:
        """Return the runs that are Running under the present session, which has ended; and forget them."""
        running, self._running = self._running, set()
        return frozenset(running)

    def fail(self, entry: PendingProposal, error: Exception) -> None:
        """Fail one proposal."""
        if self._entries.pop(entry.proposal.id, None) is not None:
            entry.fail(error)

    def fail_all(self, make_error: Callable[[], Exception]) -> None:
        """Fail all that are pending, each with an exception of its own."""
        for entry in self.all():
            self.fail(entry, make_error())

    def _tell_wait(self, decision: Decision) -> None:
        entry = self._entries.get(decision.proposal_id)
        if entry is not None and entry.on_wait is not None:
            try:
                entry.on_wait(decision)
            except Exception:  # noqa: BLE001 - who waits for other proposals must not suffer
                _log.exception("a callback for waiting proposals failed")

    def _settle_error(self, decision: Decision) -> None:
        entry = self._entries.get(decision.proposal_id)
        if entry is None:
            return
        error = decision.error
        if error.reason in _TRY_AGAIN:
            delay = entry.refused(self._patience, self._draw)
            if delay is not None:
                self._send_again(delay, entry)
                return
        self.fail(entry, exception_for(error.reason, error.message, error.field, error.metadata))
