"""The code of one submitted task run, as task runners are given it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

from clearway._execution.effects import Outcome

if TYPE_CHECKING:
    from clearway._execution.deadlines.timer import TimerCall
    from clearway._execution.effects import Execute
    from clearway._execution.task.run import TaskRun


class CodeOwner(Protocol):
    """The submission of the task run whose code it is."""

    def execute_here(self, effect: Execute) -> None:
        """Run the code in this thread, and take the steps that follow."""
        ...

    def portable_call(self) -> bytes:
        """Return the code to be run as bytes."""
        ...

    def executed(self, ended: Callable[[], Outcome]) -> None:
        """Take the steps that follow the code, on another thread. What ``ended`` raises has ended the run."""
        ...


class SubmittedCall:
    """One execution of a task run's code; see ``clearway.task_runners.TaskCall``.

    Attributes:
        name: The task run's name.
        task_run_id: The task run's UUID.
        timer_call: What ends the call when its time is over, where there is a limit and it runs elsewhere.
    """

    __slots__ = ("_effect", "_submission", "name", "task_run_id", "timer_call")

    def __init__(self, submission: CodeOwner, run: TaskRun, effect: Execute) -> None:
        self.name = run.name
        self.task_run_id = run.run_id
        self._submission: CodeOwner | None = submission
        self._effect = effect
        self.timer_call: TimerCall | None = None

    def run(self) -> None:
        """Execute the code in this thread."""
        submission = self.take()
        if submission is not None:
            submission.execute_here(self._effect)

    def to_bytes(self) -> bytes:
        """Return the call as bytes."""
        submission = self._submission
        if submission is None:
            raise RuntimeError(f"the call of the task run {self.name!r} has ended already")
        return submission.portable_call()

    def finish(self, reply: bytes) -> None:
        """Take what ``run_call`` returned."""
        submission = self.take()
        if submission is not None:
            submission.executed(partial(_read, reply))

    def fail(self, error: BaseException) -> None:
        """End the call with an exception."""
        submission = self.take()
        if submission is not None:
            submission.executed(partial(_failed, error))

    @property
    def is_done(self) -> bool:
        """Whether nobody waits for the call any more."""
        return self._submission is None

    def take(self) -> CodeOwner | None:
        """Return the submission that waits for the call, once."""
        submission, self._submission = self._submission, None
        if self.timer_call is not None:
            self.timer_call.cancel()
        return submission


def _read(reply: bytes) -> Outcome:
    from clearway._execution.workers.call_bytes import read_reply  # noqa: PLC0415 - few flows use other processes

    return read_reply(reply)


def _failed(error: BaseException) -> Outcome:
    if isinstance(error, Exception):
        return Outcome(error=error)
    raise error
