"""Tracks the activity of a service under test, so that its clock knows when all runs are only waiting."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from clearway.v1 import state_pb2

if TYPE_CHECKING:
    from clearway._transport.decision_future import DecisionFuture
    from clearway.v1.proposal_pb2 import Proposal


class Activity:
    """Tracks whether all runs are only waiting: no call is in progress, and no task's code is running.

    Attributes:
        changes: Incremented by every event; if it is unchanged, nothing has happened in between.
    """

    def __init__(self) -> None:
        self.changes = 0
        self._lock = threading.Lock()
        self._steps = 0  # calls in progress, and sleepers that are being woken
        self._proposed: set[str] = set()  # proposals without a response; being queued counts as a response
        self._running: set[str] = set()  # task runs whose code is running
        self._awaiting: set[str] = set()  # task runs whose code waits for another run

    def is_still(self) -> bool:
        """Return True if all runs are only waiting."""
        with self._lock:
            return not self._steps and not self._proposed and self._running <= self._awaiting

    @contextmanager
    def _change(self) -> Iterator[None]:
        with self._lock:
            self.changes += 1
            yield

    def began(self) -> None:
        """Record that a step, such as a call, has begun."""
        with self._change():
            self._steps += 1

    def ended(self, _: object = None) -> None:
        """Record that a step has ended."""
        with self._change():
            self._steps -= 1

    def proposed(self, proposal: Proposal) -> None:
        """Record a proposal. Whatever state it proposes, the code of its run is not running now."""
        with self._change():
            self._proposed.add(proposal.id)
            self._running.discard(proposal.task_run_id)

    def queued(self, proposal_id: str) -> None:
        """Record that a proposal is queued by the service."""
        with self._change():
            self._proposed.discard(proposal_id)

    def decided(self, proposal: Proposal, answer: DecisionFuture) -> None:
        """Record the final decision on a proposal."""
        with self._change():
            self._proposed.discard(proposal.id)
            of_task = proposal.WhichOneof("run") != "flow_run_id"
            if not of_task or proposal.state.type != state_pb2.STATE_TYPE_RUNNING:
                return
            if not answer.cancelled() and answer.exception() is None and answer.result().HasField("accept"):
                self._running.add(answer.result().run_id)

    def awaits(self, task_run_id: str, awaited_task_run_id: str) -> None:
        """Record which run a task run's code waits for; an empty ``awaited_task_run_id`` means none."""
        with self._change():
            if awaited_task_run_id:
                self._awaiting.add(task_run_id)
            else:
                self._awaiting.discard(task_run_id)
