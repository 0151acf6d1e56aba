"""Proposals that have no final decision yet."""

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
    """One proposal without a final decision.

    Attributes:
        proposal: The proposal.
        on_wait: Called when the service queues the proposal.
        future: Resolved with the final decision.
        stream: The number of the stream that it was last sent on; 0 if it was not sent.
    """

    proposal: Proposal
    on_wait: Callable[[Decision], None] | None
    future: DecisionFuture = field(default_factory=DecisionFuture)
    stream: int = 0
    _refusals: int = 0
    _refused_since: float = 0.0

    def resolve(self, decision: Decision) -> None:
        """Set the final decision."""
        if not self.future.resolve(decision):  # cancelled at the same moment
            _log.debug("ignored a decision about %s: its proposal was withdrawn", decision.run_id)

    def fail(self, error: Exception) -> None:
        """Set an exception."""
        if not self.future.fail(error):
            _log.debug("ignored the failure of a withdrawn proposal: %s", error)

    def refused(self, patience: float, draw: Callable[[], float]) -> float | None:
        """Note that the service could not accept the proposal at present.

        Returns:
            Seconds until it should be sent again; None if it was refused for longer than ``patience``.
        """
        now = time.monotonic()
        self._refused_since = self._refused_since or now
        if now - self._refused_since > patience:
            return None
        self._refusals += 1
        return _REFUSED.delay(self._refusals, draw)


class PendingProposals:
    """All pending proposals, in the order in which they were made. Any thread may use it."""

    # Every access to the dictionary is a single atomic operation; the thread that removes an entry resolves
    # it.

    def __init__(
        self,
        patience: float,
        send_again: Callable[[float, PendingProposal], None],
        draw: Callable[[], float] = random.random,
    ) -> None:
        """Make an empty collection.

        Args:
            patience: How many seconds the service may keep refusing a proposal that it could accept later.
            send_again: Called with a delay in seconds and the proposal to send again after it.
            draw: Returns a random number in [0, 1] for the jitter of delays; tests pass their own.
        """
        self._entries: dict[str, PendingProposal] = {}
        self._running: set[str] = set()
        self._patience = patience
        self._send_again = send_again
        self._draw = draw

    def add(self, proposal: Proposal, on_wait: Callable[[Decision], None] | None) -> PendingProposal:
        """Add a proposal; the caller must then send it."""
        entry = PendingProposal(proposal, on_wait)
        self._entries[proposal.id] = entry
        return entry

    def is_pending(self, entry: PendingProposal) -> bool:
        """Return whether the proposal still waits for its decision."""
        return self._entries.get(entry.proposal.id) is entry

    def all(self) -> list[PendingProposal]:
        """Return all pending proposals."""
        return list(self._entries.values())

    def withdraw(self, proposal_id: str) -> PendingProposal | None:
        """Remove a proposal and cancel its future; return it if it was pending."""
        entry = self._entries.pop(proposal_id, None)
        if entry is not None:
            entry.future.cancel()
        return entry

    def settle(self, decisions: Iterable[Decision]) -> bool:
        """Resolve proposals with their decisions; decisions on withdrawn proposals are ignored.

        Returns:
            Whether the session has expired. Proposals refused for that stay pending, for the next session.
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
        """Return and forget the runs that were Running under the session, which has ended."""
        running, self._running = self._running, set()
        return frozenset(running)

    def fail(self, entry: PendingProposal, error: Exception) -> None:
        """Fail one proposal."""
        if self._entries.pop(entry.proposal.id, None) is not None:
            entry.fail(error)

    def fail_all(self, make_error: Callable[[], Exception]) -> None:
        """Fail all pending proposals, each with an exception of its own."""
        for entry in self.all():
            self.fail(entry, make_error())

    def _tell_wait(self, decision: Decision) -> None:
        entry = self._entries.get(decision.proposal_id)
        if entry is not None and entry.on_wait is not None:
            try:
                entry.on_wait(decision)
            except Exception:  # noqa: BLE001 - must not affect other proposals
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
