"""The task runs and subflows of one attempt of a flow run: those open, and how the others ended."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

from clearway._states.run_counts import RunCounts
from clearway.states import State

if TYPE_CHECKING:
    from clearway._execution.flow.open_run import OpenRun


class RunLedger:
    """Keeps count of an attempt's runs. Any thread may use it.

    Attributes:
        counts: How many runs have ended, by state; changed under ``guard``. Excludes the runs of subflows.
        guard: Held briefly around changes that several threads make.
    """

    __slots__ = ("_not_completed", "_open", "_runs_of", "_within", "counts", "guard")

    def __init__(self, guard: Lock) -> None:
        self.counts = RunCounts()
        self._within = RunCounts()
        self.guard = guard
        self._runs_of: dict[str, int] = {}  # by task key
        self._open: dict[OpenRun, None] = {}
        self._not_completed: list[State[Any]] = []  # in the order in which they ended

    def number_of(self, task_key: str) -> int:
        """Return how many runs of a task this attempt had before, and count one more."""
        with self.guard:
            number = self._runs_of.get(task_key, 0)
            self._runs_of[task_key] = number + 1
            return number

    def enter(self, run: OpenRun) -> None:
        """Add a run that begins."""
        self._open[run] = None

    def leave(self, run: OpenRun, state: State[Any]) -> None:
        """Remove a run that has ended or was stopped."""
        self._open.pop(run, None)
        self.ended(state)

    def ended(self, state: State[Any], *, subflow: bool = False) -> None:
        """Note how a task run or a subflow ended."""
        with self.guard:
            self.counts.count(state.type, subflow=subflow)
            if not state.is_completed():
                self._not_completed.append(state)

    def interrupted(self, state: State[Any]) -> None:
        """Count a subflow whose exception is being raised to the flow's code, which may catch it."""
        with self.guard:
            self.counts.count(state.type, subflow=True)

    def include(self, counts: RunCounts) -> None:
        """Add the counts of a subflow's own runs."""
        with self.guard:
            self._within.include(counts)

    def all_counts(self) -> RunCounts:
        """Return the counts of all runs that have ended, subflows' runs included."""
        counts = RunCounts()
        with self.guard:
            counts.include(self.counts)
            counts.include(self._within)
        return counts

    def ended_otherwise(self, state: State[Any]) -> None:
        """Note that a run assumed to be completed is in another state at the service."""
        with self.guard:
            self.counts.recount(state.type)
            self._not_completed.append(state)

    def note_cached(self) -> None:
        """Note that a run took its result from the cache."""
        with self.guard:
            self.counts.cached += 1

    def note_retry(self) -> None:
        """Note that a retry was scheduled."""
        with self.guard:
            self.counts.retries += 1

    def open_runs(self) -> list[OpenRun]:
        """Return the task runs that have not ended."""
        return list(self._open)

    @property
    def total(self) -> int:
        """How many task runs and subflows have ended."""
        return self.counts.total

    @property
    def cached(self) -> int:
        """How many of them took their result from the cache."""
        return self.counts.cached

    @property
    def retries(self) -> int:
        """How many retries were scheduled."""
        return self.counts.retries

    @property
    def failures(self) -> int:
        """How many of them did not complete."""
        return self.counts.total - self.counts.completed

    def not_completed(self) -> list[State[Any]]:
        """Return the states of the runs that did not complete."""
        return list(self._not_completed)

    def knows(self, error: BaseException) -> bool:
        """Return whether a task run or subflow raised this exception, which was logged then."""
        return any(state.data is error for state in self._not_completed)
