"""Connection: one client with its session, over a stream or within the process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any

from clearway.v1 import proposal_pb2
from clearway_service.api.parsing import parse_proposal
from clearway_service.api.rendering import fill_decision, fill_error, refusal_error
from clearway_service.core.proposals import Answer, Proposal, Refusal
from clearway_service.engine.budget import Call, Caller
from clearway_service.engine.pipeline import Pipeline
from clearway_service.engine.submitted import Failure, Result, size_of
from clearway_service.errors import ClearwayError
from clearway_service.store.runs import note_awaits
from clearway_service.store.session_ends import end_session

# Called with messages that contain only decisions.
Deliver = Callable[[proposal_pb2.ProposeResponse], None]

# At most this many decisions share a message, to bound the latency of the first one.
MAX_DECISIONS = 256
# The approximate limit of their bytes.
_MAX_BYTES = 512 * 1024
# The memory overhead of an undecided proposal, in addition to its own bytes.
_PROPOSAL_BYTES = 1024


class Connection:
    """One connected client, with its session.

    Created by ``Connector``.

    Attributes:
        session_id: The session that holds the client's runs.
        welcome: The first message to the client.
        heard: When the client was last seen, by the monotonic clock, in seconds.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        welcome: proposal_pb2.Welcome,
        deliver: Deliver,
        slot_retry_after: int,
        *,
        on_close: Callable[[Connection], None],
        on_loss: Callable[[Connection], None],
        on_expiry: Callable[[Connection], None],
        caller: Caller | None = None,
    ) -> None:
        self.session_id = welcome.session_id
        self.welcome = welcome
        self._pipeline = pipeline
        self._deliver = deliver
        self._slot_retry_after = slot_retry_after
        self._on_close = on_close
        self._on_loss = on_loss
        self._on_expiry = on_expiry
        self._caller = caller
        self.heard = time.monotonic()
        self._lock = threading.Lock()
        self._undecided: set[str] = set()
        # Proposals that got a queued wait, until their final decision is delivered.
        self._queued: set[str] = set()
        # The client's spelling of ids that were not canonical, so that it can match the decisions.
        self._spelled: dict[str, str] = {}
        self._idle: list[Future[None]] = []

    def propose(self, proposals: Sequence[proposal_pb2.Proposal], size: int = 0) -> None:
        """Submit proposals, and return at once; decisions are delivered later. Thread-safe.

        Args:
            proposals: Decided in this order.
            size: The size of their message in bytes, for a client in another process.
        """
        parsed = []
        wrong = proposal_pb2.ProposeResponse()
        for proposal in proposals:
            try:
                parsed.append(parse_proposal(proposal, self.session_id, queues=True))
                if parsed[-1].id != proposal.id:
                    self._spelled[parsed[-1].id] = proposal.id
            except ClearwayError as error:
                fill_error(wrong.decisions.add(), proposal.id, error)
        if parsed:
            self._undecided.update([proposal.id for proposal in parsed])
            each = _PROPOSAL_BYTES + size // len(proposals)
            self._pipeline.submit(parsed, self._reply, self._caller, each)
        if wrong.decisions:
            self._deliver(wrong)

    def withdraw(self, proposal_ids: Sequence[str], size: int = 0) -> Future[Any]:
        """Remove proposals from the queue for slots; those that no longer wait are left alone.

        Args:
            proposal_ids: The proposals.
            size: The size of the message in bytes, for a client in another process.
        """
        self._queued.difference_update(proposal_ids)
        return self._pipeline.withdraw(list(proposal_ids), self._call(size))

    def leave_queue(self) -> Future[None]:
        """Remove all waiting proposals from the queue for slots, without a further decision.

        Returns:
            A future that is done when this is durable, and all slots granted before it are delivered.
        """
        left: Future[None] = Future()
        left.set_running_or_notify_cancel()

        def follow(withdrawn: Future[set[str]]) -> None:
            if (error := withdrawn.exception()) is not None:
                left.set_exception(error)
                return
            # Already granted: the decision is delivered once the client has room for it.
            self._undecided.update(self._queued.difference(withdrawn.result()))
            self.settled().add_done_callback(lambda _settled: left.set_result(None))

        self._pipeline.withdraw_all(self._reply, self._call()).add_done_callback(follow)
        return left

    def note_awaits(self, awaits: list[tuple[str, str]], size: int = 0) -> Future[Any]:
        """Record, for pairs of task runs, that the first one's code awaits the second one's result.

        Args:
            awaits: The pairs.
            size: The size of the message in bytes, for a client in another process.
        """
        return self._pipeline.run(note_awaits(awaits), self._call(size))

    def _call(self, size: int = 0) -> Call | None:
        return None if self._caller is None else Call(self._caller, size)

    def expire(self) -> None:
        """Handle the end of the session while its client is connected."""
        self._on_expiry(self)

    def move(self, session_id: str) -> None:
        """Switch to a new session because the old one has ended; waiting proposals wait again."""
        before, self.session_id = self.session_id, session_id
        self._pipeline.move_waiting(before, session_id)

    def undecided(self) -> int:
        """Return the number of proposals without a decision; a queued wait counts as one."""
        return len(self._undecided)

    def settled(self) -> Future[None]:
        """Return a future that is done when every proposal so far has a decision."""
        future: Future[None] = Future()
        with self._lock:
            self._idle.append(future)
        # Append first, then check: the deliverer of the last decision checks the list afterwards.
        self._tell_idle()
        return future

    def end(self) -> Future[Any]:
        """End the session at once: its Running runs become Crashed, and its waiters leave the queue."""
        self._on_close(self)
        return self._pipeline.run(end_session(self.session_id, "its client ended the session"), self._call())

    def lose(self) -> None:
        """Stop renewing the session, because the client disconnected without a goodbye."""
        self._on_loss(self)

    def close(self) -> None:
        """End the session, and return when that is durable."""
        self.end().result()

    def _reply(self, results: list[Result]) -> None:
        for result in results:
            if isinstance(result, Refusal) and result.proposal is not None:
                results = self._resubmit_orphaned(results)
                break
        for part in _parts(results) if len(results) > 1 else (results,):
            response = proposal_pb2.ProposeResponse()
            for result in part:
                self._fill(response.decisions.add(), result)
            self._deliver(response)
        # The sets' methods are atomic, so proposing and replying need no lock.
        decided = [result.proposal_id for result in results]
        self._queued.difference_update(decided)
        self._queued.update(
            [result.proposal_id for result in results if isinstance(result, Answer) and result.queued]
        )
        self._undecided.difference_update(decided)
        self._tell_idle()

    def _tell_idle(self) -> None:
        """Complete the futures of ``settled`` if every proposal has a decision."""
        if not self._idle or self._undecided:
            return
        with self._lock:
            idle, self._idle = self._idle, []
        for future in idle:
            # The caller may have cancelled it.
            if future.set_running_or_notify_cancel():
                future.set_result(None)

    def _resubmit_orphaned(self, results: list[Result]) -> list[Result]:
        """Return ``results`` without the proposals that failed because their session has ended.

        They are submitted again under the new session. If the client has to open that itself, they are
        treated as if never made.
        """
        orphaned = [
            result.proposal
            for result in results
            if isinstance(result, Refusal) and result.proposal is not None
        ]
        if not self._resubmit(orphaned):
            self._undecided.difference_update([proposal.id for proposal in orphaned])
        moved = {proposal.id for proposal in orphaned}
        return [result for result in results if result.proposal_id not in moved]

    def _resubmit(self, orphaned: list[Proposal]) -> bool:
        """Submit proposals of an ended session again under the new one.

        Returns:
            True if they were submitted; False if the client has to open the new session itself.
        """
        before = orphaned[0].session_id
        if before == self.session_id:
            self.expire()
        if before == self.session_id:
            return False
        moved = [proposal._replace(session_id=self.session_id) for proposal in orphaned]
        self._pipeline.submit(moved, self._reply, self._caller)
        return True

    def _fill(self, decision: proposal_pb2.Decision, result: Result) -> None:
        match result:
            case Answer():
                fill_decision(decision, result, self._slot_retry_after)
            case Refusal():
                fill_error(decision, result.proposal_id, refusal_error(result))
            case Failure(proposal_id, error):
                fill_error(decision, proposal_id, error)
        if result.proposal_id in self._spelled:
            decision.proposal_id = self._spelled[result.proposal_id]
            if not (isinstance(result, Answer) and result.queued):
                del self._spelled[result.proposal_id]


def _parts(results: list[Result]) -> Iterator[list[Result]]:
    """Split results into parts that fit into a message; a large result gets a part of its own."""
    part: list[Result] = []
    size = 0
    for result in results:
        size += size_of(result)
        if part and (size > _MAX_BYTES or len(part) == MAX_DECISIONS):
            yield part
            part, size = [], size_of(result)
        part.append(result)
    if part:
        yield part
