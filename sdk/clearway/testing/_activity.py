"""What goes on in a service under test, as its transport sees it."""

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
    """Knows whether all runs only wait: nothing is asked of the service, and no task's code runs.

    Attributes:
        changes: Grows with all that happens; equal numbers mean that nothing did between.
    """

    def __init__(self) -> None:
        self.changes = 0
        self._lock = threading.Lock()
        self._steps = 0  # calls, and sleepers that are being woken
        self._proposed: set[str] = set()  # proposals without an answer: a wait in the service's queue is one
        self._running: set[str] = set()  # task runs whose code runs
        self._awaiting: set[str] = set()  # those of them whose code waits for another run

    def is_still(self) -> bool:
        """Return whether all runs only wait."""
        with self._lock:
            return not self._steps and not self._proposed and self._running <= self._awaiting

    @contextmanager
    def _change(self) -> Iterator[None]:
        with self._lock:
            self.changes += 1
            yield

    def began(self) -> None:
        """Note that something is under way, such as a call."""
        with self._change():
            self._steps += 1

    def ended(self, _: object = None) -> None:
        """Note that it has ended."""
        with self._change():
            self._steps -= 1

    def proposed(self, proposal: Proposal) -> None:
        """Note a proposal. Whatever it is, the code of its run does not run now."""
        with self._change():
            self._proposed.add(proposal.id)
            self._running.discard(proposal.task_run_id)

    def queued(self, proposal_id: str) -> None:
        """Note that a proposal waits in the service's queue."""
        with self._change():
            self._proposed.discard(proposal_id)

    def decided(self, proposal: Proposal, answer: DecisionFuture) -> None:
        """Note the final decision about a proposal."""
        with self._change():
            self._proposed.discard(proposal.id)
            of_task = proposal.WhichOneof("run") != "flow_run_id"
            if not of_task or proposal.state.type != state_pb2.STATE_TYPE_RUNNING:
                return
            if not answer.cancelled() and answer.exception() is None and answer.result().HasField("accept"):
                self._running.add(answer.result().run_id)

    def awaits(self, task_run_id: str, awaited_task_run_id: str) -> None:
        """Note that a task run's code waits for another run, or for none."""
        with self._change():
            if awaited_task_run_id:
                self._awaiting.add(task_run_id)
            else:
                self._awaiting.discard(task_run_id)
