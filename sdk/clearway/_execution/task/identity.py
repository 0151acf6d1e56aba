"""The key, id and name of a task run, and the spec that creates it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clearway._execution.retry_policy import fill_retry_policy
from clearway._execution.run_key import RunKey
from clearway.futures import Future
from clearway.v1.task_run_pb2 import TaskRunSpec

if TYPE_CHECKING:
    from clearway._definition.base import TaskDefinition
    from clearway._execution.flow.attempt import FlowAttempt
    from clearway._execution.task.given import Given

_MAX_REPAIRS = 10


class Identity:
    """The identity of a task run at the service; it changes when another run has to take its place.

    Attributes:
        run_id: The run's UUID. The service may replace it with that of a run it already has.
        name: The run's name, for people.
        known: Whether the service has the run; if not, the next proposal creates it.
        repairs: How many runs with lost results this one has replaced.
    """

    __slots__ = ("_flow_attempt", "_key", "_task", "known", "name", "repairs", "run_id")

    def __init__(self, task: TaskDefinition, flow_attempt: FlowAttempt) -> None:
        """Take the task's next key in an attempt of a flow run."""
        self._task = task
        self._flow_attempt = flow_attempt
        self._key = RunKey(task.task_key, flow_attempt.ledger.number_of(task.task_key))
        self.known = False
        self.repairs = 0
        dynamic_key = self._key.dynamic_key
        self.name = f"{task.name}-{dynamic_key}"
        self.run_id = flow_attempt.run_id(task.task_key, dynamic_key)

    def take_spare_key(self) -> bool:
        """Take the key of the next attempt, if this run ended without completing in an earlier one.

        Returns:
            Whether there was such a key: each attempt of the flow after the first provides one.
        """
        if self._key.attempt == self._flow_attempt.facts.number:
            return False
        self._take(self._key.in_attempt(self._key.attempt + 1))
        return True

    def take_repair_key(self) -> bool:
        """Take the key of a replacement run, if this run completed but its result was lost.

        Returns:
            Whether one was left. They are limited, so that a result lost every time ends the run.
        """
        if self.repairs == _MAX_REPAIRS:
            return False
        self.repairs += 1
        self._take(self._key.repaired(self.repairs))
        return True

    def _take(self, key: RunKey) -> None:
        self._key = key
        dynamic_key = key.dynamic_key
        if self._task.task_run_name is None:
            self.name = f"{self._task.name}-{dynamic_key}"
        self.known = False
        self.run_id = self._flow_attempt.run_id(key.task_key, dynamic_key)

    def show(self, future: Future[Any]) -> None:
        """Copy the run's id and name to its future."""
        future.task_run_id = self.run_id
        future.name = self.name

    def specify(self, spec: TaskRunSpec, given: Given) -> None:
        """Fill in the run's spec in place; copying a finished message costs twice as much."""
        task = self._task
        spec.id = self.run_id
        spec.flow_run_id = self._flow_attempt.facts.flow_run_id
        spec.task_key = self._key.task_key
        spec.dynamic_key = self._key.dynamic_key
        spec.task_name = task.name
        spec.name = self.name
        if task.version:
            spec.task_version = task.version
        if given.tags:
            spec.tags.extend(given.tags)
        if given.inputs:
            spec.inputs.extend(given.inputs.recorded())
        if task.retries:
            fill_retry_policy(spec.retry_policy, task)
