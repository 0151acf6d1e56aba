"""The task runs and subflows of one attempt of a flow run: which are under way, and how the others ended."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

from clearway.states import State

if TYPE_CHECKING:
    from clearway._execution.flow.open_run import OpenRun


class RunLedger:
    """Keeps count of runs, for any thread.

    Attributes:
        cached: How many of the runs have their result from the cache.
        retries: How often one of the runs was told to try again.
        guard: Held for a moment while something changes that several threads change.
    """

    __slots__ = ("_not_completed", "_open", "_runs_of", "_total", "cached", "guard", "retries")

    def __init__(self, guard: Lock) -> None:
        self.cached = self.retries = 0
        self.guard = guard
        self._runs_of: dict[str, int] = {}  # by task key
        self._open: dict[OpenRun, None] = {}
        self._not_completed: list[State[Any]] = []  # in the order of their ends
        self._total = 0

    def number_of(self, task_key: str) -> int:
        """Return how many runs of a task this attempt had before, and count one more."""
        with self.guard:
            number = self._runs_of.get(task_key, 0)
            self._runs_of[task_key] = number + 1
            return number

    def enter(self, run: OpenRun) -> None:
        """Take a run that begins."""
        self._open[run] = None

    def leave(self, run: OpenRun, state: State[Any]) -> None:
        """Let a run go that has ended, or that goes no further."""
        self._open.pop(run, None)
        self.ended(state)

    def ended(self, state: State[Any]) -> None:
        """Note how a task run or a subflow ended."""
        with self.guard:
            self._total += 1
            if not state.is_completed():
                self._not_completed.append(state)

    def ended_otherwise(self, state: State[Any]) -> None:
        """Note that a run which was taken as completed is in another state."""
        self._not_completed.append(state)

    def note_cached(self) -> None:
        """Note that a run has its result from the cache."""
        with self.guard:
            self.cached += 1

    def note_retry(self) -> None:
        """Note that a run is to be tried again."""
        with self.guard:
            self.retries += 1

    def open_runs(self) -> list[OpenRun]:
        """Return the task runs that have not ended."""
        return list(self._open)

    @property
    def total(self) -> int:
        """How many task runs and subflows have ended."""
        return self._total

    @property
    def failures(self) -> int:
        """How many of them did not complete."""
        return len(self._not_completed)

    def not_completed(self) -> list[State[Any]]:
        """Return the states of the runs that did not complete."""
        return list(self._not_completed)

    def knows(self, error: BaseException) -> bool:
        """Return whether an exception is that of a task run or subflow, and so was logged with that."""
        return any(state.data is error for state in self._not_completed)
