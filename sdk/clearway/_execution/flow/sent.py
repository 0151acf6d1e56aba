"""The proposals that a flow run's runs send without waiting for the decision."""

from __future__ import annotations

from collections.abc import Callable

from clearway._transport.decision_future import DecisionFuture
from clearway._transport.protocol import Transport
from clearway._waiting.sigint import wait_told
from clearway.exceptions import ClearwayError
from clearway.v1.proposal_pb2 import Decision, Proposal


class SentProposals:
    """Sends proposals without waiting; the attempt does not end before their decisions have arrived."""

    __slots__ = ("_refused", "_transport", "_unanswered")

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._unanswered: set[DecisionFuture] = set()
        self._refused: ClearwayError | None = None

    def send(self, proposal: Proposal, on_decision: Callable[[Decision], None] | None = None) -> None:
        """Send a proposal.

        Args:
            proposal: What is proposed.
            on_decision: Called with the decision, on the transport's thread.
        """
        future = self._transport.propose(proposal)
        self._unanswered.add(future)

        def answered(answer: DecisionFuture) -> None:
            try:
                decision = answer.result()
                if on_decision is not None:
                    on_decision(decision)
            except ClearwayError as error:
                self._refused = self._refused or error
            finally:
                self._unanswered.discard(answer)

        future.add_done_callback(answered)

    def send_last(self, proposal: Proposal) -> None:
        """Propose the end of an interrupted run; it does not matter if the service has no such run."""
        future = self._transport.propose(proposal)
        self._unanswered.add(future)
        future.add_done_callback(self._unanswered.discard)

    def unanswered(self) -> list[DecisionFuture]:
        """Return the futures of the proposals that have no decision yet."""
        return list(self._unanswered)

    def await_answers(self) -> None:
        """Block until every proposal sent has its decision, so that later reads include their effects."""
        for future in self.unanswered():
            wait_told(future)

    async def await_answers_async(self) -> None:
        """Do the same as ``await_answers`` in a coroutine."""
        from clearway._waiting.loop_calls import answered  # noqa: PLC0415 - loads asyncio

        for future in self.unanswered():
            await answered(future)

    def raise_refusal(self) -> None:
        """Raise the first refusal, if there was one.

        Raises:
            ClearwayError: The service refused one of the proposals.
        """
        if self._refused is not None:
            raise self._refused
