"""What identifies a task run within its flow run."""

from __future__ import annotations

from typing import NamedTuple


class RunKey(NamedTuple):
    """The key of a task run, or of the run that stands for a subflow in its parent.

    Attributes:
        task_key: Identifies the task or the subflow: equal for all its runs.
        number: Which call of the task in an attempt of the flow run it was made for, from 0.
        attempt: How many runs have been made for that call, from 1: one that cannot be reused in a later
            attempt of the flow run has a successor.
        repair: Counts the runs made in place of one whose result was lost; 0 for the first.
        digest: The digest of the arguments; empty if they were not compared.
    """

    task_key: str
    number: int
    attempt: int = 1
    repair: int = 0
    digest: str = ""

    @property
    def label(self) -> str:
        """The part for people: ``4``, its successor ``4-2``, that one repaired ``4-2-again-1``."""
        text = str(self.number) if self.attempt == 1 else f"{self.number}-{self.attempt}"
        return f"{text}-again-{self.repair}" if self.repair else text

    @property
    def dynamic_key(self) -> str:
        """The key among the task's runs: the label, and ``@`` and the digest if there is one."""
        return f"{self.label}@{self.digest}" if self.digest else self.label

    def in_attempt(self, attempt: int) -> RunKey:
        """Return the key of the run's successor."""
        return self._replace(attempt=attempt, repair=0)

    def repaired(self, repair: int) -> RunKey:
        """Return the key of the run that takes the place of this one, whose result was lost."""
        return self._replace(repair=repair)

    def of(self, digest: str) -> RunKey:
        """Return the key of the run with the digest of its arguments."""
        return self._replace(digest=digest)
