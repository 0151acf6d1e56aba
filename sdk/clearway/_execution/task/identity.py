"""Under which key, id and name the service has a task run; and the spec by which it is created."""

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
    """Who a task run is. It changes where the service has the run as another one.

    Attributes:
        run_id: The run's UUID. The service may mean another, where it knows the run from elsewhere.
        name: The run's name, for people.
        known: Whether the service knows the run; if not, the next proposal creates it.
        repairs: How often another run was taken in place of one whose result was lost.
    """

    __slots__ = ("_flow_attempt", "_key", "_task", "known", "name", "repairs", "run_id")

    def __init__(self, task: TaskDefinition, flow_attempt: FlowAttempt) -> None:
        """Take the next key of the task's in an attempt of a flow run."""
        self._task = task
        self._flow_attempt = flow_attempt
        self._key = RunKey(task.task_key, flow_attempt.ledger.number_of(task.task_key))
        self.known = False
        self.repairs = 0
        dynamic_key = self._key.dynamic_key
        self.name = f"{task.name}-{dynamic_key}"
        self.run_id = flow_attempt.run_id(task.task_key, dynamic_key)

    def take_spare_key(self) -> bool:
        """Become another run, where an earlier attempt of the flow left this one ended and not completed.

        Returns:
            Whether there was another key to take: one for each attempt of the flow after the first.
        """
        if self._key.attempt == self._flow_attempt.facts.number:
            return False
        self._take(self._key.in_attempt(self._key.attempt + 1))
        return True

    def take_repair_key(self) -> bool:
        """Become another run, where this one ended with a result that is gone.

        Returns:
            Whether there was another key to take: a run whose results are lost again and again ends sometime.
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
        """Let the run's future have its id and name."""
        future.task_run_id = self.run_id
        future.name = self.name

    def specify(self, spec: TaskRunSpec, given: Given) -> None:
        """Set the fields of the run's spec in its place: to copy one that was made costs twice as much."""
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
