"""The code of one submitted task run, as task runners are given it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clearway._engine.effects import Execute
    from clearway._engine.submission import Submission


class SubmittedCall:
    """One execution of a task run's code; see ``clearway.task_runners.TaskCall``."""

    __slots__ = ("_effect", "_submission", "name", "task_run_id")

    def __init__(self, submission: Submission, effect: Execute) -> None:
        self.name = submission.run.name
        self.task_run_id = submission.run.run_id
        self._submission: Submission | None = submission
        self._effect = effect

    def run(self) -> None:
        """Execute the code in this thread."""
        submission = self._take()
        if submission is not None:
            submission.execute_here(self._effect)

    def _take(self) -> Submission | None:
        """Return the submission that waits for the call, once."""
        submission, self._submission = self._submission, None
        return submission
