"""What identifies a task run within its flow run."""

from __future__ import annotations

from typing import NamedTuple


class RunKey(NamedTuple):
    """The key of a task run, or of the run that stands for a subflow in its parent.

    Attributes:
        task_key: Identifies the task or the subflow: equal for all its runs.
        number: Which of the task's runs it is in an attempt of the flow run, from 0.
        attempt: From which attempt of the flow run on it is used, from 1: one that an earlier attempt left
            ended and not completed has a successor in the next.
        repair: The how manieth run it is in place of one whose result was lost; 0 where none was.
    """

    task_key: str
    number: int
    attempt: int = 1
    repair: int = 0

    @property
    def dynamic_key(self) -> str:
        """The key among the task's runs: ``4``, ``4-2`` in a second attempt, ``4-2-again-1`` repaired."""
        text = str(self.number) if self.attempt == 1 else f"{self.number}-{self.attempt}"
        return f"{text}-again-{self.repair}" if self.repair else text

    def in_attempt(self, attempt: int) -> RunKey:
        """Return the key of the run's successor in an attempt of the flow run."""
        return self._replace(attempt=attempt, repair=0)

    def repaired(self, repair: int) -> RunKey:
        """Return the key of the run that takes the place of this one, whose result was lost."""
        return self._replace(repair=repair)
