"""The embedded engine on a test's clock, reporting its activity."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from clearway._transport.embedded import EmbeddedTransport

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from clearway._transport.decision_future import DecisionFuture
    from clearway.testing._activity import Activity
    from clearway.v1.proposal_pb2 import Decision, Proposal


class WatchedTransport(EmbeddedTransport):
    """An embedded transport that reports calls, proposals and decisions to an ``Activity``."""

    def __init__(self, database: Path, clock: Callable[[], int], activity: Activity) -> None:
        """Open the engine.

        Args:
            database: The SQLite file.
            clock: Returns the time in microseconds since 1970.
            activity: Receives the reports.
        """
        self._activity = activity
        super().__init__(database, clock)

    def propose(
        self, proposal: Proposal, on_wait: Callable[[Decision], None] | None = None
    ) -> DecisionFuture:
        """See ``Transport.propose``."""
        self._activity.proposed(proposal)

        def queued(decision: Decision) -> None:
            self._activity.queued(proposal.id)
            if on_wait is not None:
                on_wait(decision)

        future = super().propose(proposal, queued)
        future.add_done_callback(partial(self._activity.decided, proposal))
        return future

    def note_await(self, task_run_id: str, awaited_task_run_id: str) -> None:
        """See ``Transport.note_await``."""
        self._activity.awaits(task_run_id, awaited_task_run_id)
        super().note_await(task_run_id, awaited_task_run_id)

    def call(self, method: str, request: Message, timeout: float | None = None) -> Future[Message]:
        """See ``Transport.call``."""
        self._activity.began()
        future = super().call(method, request, timeout)
        future.add_done_callback(self._activity.ended)
        return future
