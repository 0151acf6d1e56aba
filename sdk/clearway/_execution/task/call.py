"""One execution of a submitted task run's code, as handed to a task runner."""

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
    """The submission of the task run that the code belongs to."""

    def execute_here(self, effect: Execute) -> None:
        """Run the code in this thread, then the steps that follow it."""
        ...

    def portable_call(self) -> bytes:
        """Return the call serialized, for execution in another process."""
        ...

    def executed(self, ended: Callable[[], Outcome]) -> None:
        """Run the steps that follow the code, on another thread. An exception from ``ended`` ends the run."""
        ...


class SubmittedCall:
    """One execution of a task run's code; see ``clearway.task_runners.TaskCall``.

    Attributes:
        name: The task run's name.
        task_run_id: The task run's UUID.
        timer_call: Ends a call that runs elsewhere when its timeout has passed; None without a timeout.
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
        """Return the call serialized; ``run_call`` executes it in another process."""
        submission = self._submission
        if submission is None:
            raise RuntimeError(f"the call of the task run {self.name!r} has ended already")
        return submission.portable_call()

    def finish(self, reply: bytes) -> None:
        """End the call with the bytes that ``run_call`` returned."""
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
        """Whether the call has ended, or its result is no longer wanted."""
        return self._submission is None

    def take(self) -> CodeOwner | None:
        """Return the submission that waits for the call, to the first caller only; None after that."""
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
