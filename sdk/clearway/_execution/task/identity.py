"""Under which key, id and name the service has a task run; and the spec by which it is created."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clearway._execution.flow.choice import RunChoice
from clearway._execution.retry_policy import fill_retry_policy
from clearway.futures import Future
from clearway.v1.task_run_pb2 import TaskRunSpec

if TYPE_CHECKING:
    from clearway._definition.base import TaskDefinition
    from clearway._execution.flow.attempt import FlowAttempt
    from clearway._execution.task.given import Given

_MAX_REPAIRS = 10


class Identity(RunChoice):
    """Who a task run is: its key, id and name. They change if the call is given another run.

    Attributes:
        name: The run's name, for people.
        known: Whether the service knows the run; if not, the next proposal creates it.
        repairs: How often another run was taken in place of one whose result was lost.
    """

    __slots__ = ("_task", "known", "name", "repairs")

    def __init__(self, task: TaskDefinition, flow_attempt: FlowAttempt) -> None:
        """Take the next key of the task's in an attempt of a flow run."""
        super().__init__(flow_attempt, task.task_key)
        self._task = task
        self.known = False
        self.repairs = 0
        self.name = f"{task.name}-{self.key.label}"

    def take_own_key(self) -> bool:
        """Become a run of its own, if this one is of an earlier attempt of the flow and had not completed.

        Returns:
            Whether it was.
        """
        if not self.choose_own():
            return False
        self.known = False
        return True

    def take_repair_key(self) -> bool:
        """Become another run, because this one's result is gone.

        Returns:
            Whether it did: a run whose results are lost again and again ends at some point.
        """
        if self.repairs == _MAX_REPAIRS:
            return False
        self.repairs += 1
        self.choose_repair()
        self.known = False
        return True

    def show(self, future: Future[Any]) -> None:
        """Give the future the run's id, and its name, which the key makes unless the task names its runs."""
        if self._task.task_run_name is None:
            self.name = f"{self._task.name}-{self.key.label}"
        future.task_run_id = self.run_id
        future.name = self.name

    def specify(self, spec: TaskRunSpec, given: Given) -> None:
        """Set the fields of the run's spec in its place: to copy one that was made costs twice as much."""
        task = self._task
        self.use()
        spec.id = self.run_id
        spec.flow_run_id = self._attempt.facts.flow_run_id
        spec.task_key = self.key.task_key
        spec.dynamic_key = self.key.dynamic_key
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
