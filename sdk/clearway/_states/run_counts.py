"""How the runs of a flow run ended, by state."""

from __future__ import annotations

from collections import Counter
from typing import Final

from clearway._states.record import StateType

_WORDS: Final = {
    StateType.COMPLETED: "completed",
    StateType.FAILED: "failed",
    StateType.CRASHED: "crashed",
    StateType.CANCELLED: "cancelled",
}
_OTHERWISE: Final = "not started"


class RunCounts:
    """Counts of task runs and subflows by the state that they ended in. Not safe for several threads.

    Attributes:
        cached: How many of the completed runs have their result from the cache.
        retries: How often one of the runs was told to try again.
    """

    __slots__ = ("_by_type", "_subflows", "cached", "retries")

    def __init__(self) -> None:
        self.cached = self.retries = 0
        self._by_type: Counter[StateType] = Counter()
        self._subflows = 0

    def count(self, kind: StateType, *, subflow: bool = False) -> None:
        """Count a run that ended in a state of type ``kind``."""
        self._by_type[kind] += 1
        self._subflows += subflow

    def recount(self, kind: StateType) -> None:
        """Count a run that was counted as completed as one that ended in a state of type ``kind``."""
        self._by_type[StateType.COMPLETED] -= 1
        self._by_type[kind] += 1

    def include(self, other: RunCounts) -> None:
        """Add the counts of a subflow's own runs."""
        self.cached += other.cached
        self.retries += other.retries
        self._by_type += other._by_type
        self._subflows += other._subflows

    @property
    def total(self) -> int:
        """How many runs have ended."""
        return self._by_type.total()

    @property
    def completed(self) -> int:
        """How many of them completed, cached ones included."""
        return self._by_type[StateType.COMPLETED]

    def __str__(self) -> str:
        """Return ``6 task runs: 3 completed, 3 failed; 2 retries``; the counts by state add up."""
        parts = [(self.completed - self.cached, "completed"), (self.cached, "cached")]
        parts += [
            (self._by_type[kind], word) for kind, word in _WORDS.items() if kind is not StateType.COMPLETED
        ]
        parts.append((sum(n for kind, n in self._by_type.items() if kind not in _WORDS), _OTHERWISE))
        states = ", ".join(f"{number:,} {word}" for number, word in parts if number)
        text = f"{self._runs()}: {states}" if states else "no task runs"
        return f"{text}; {_plural(self.retries, 'retry', 'retries')}" if self.retries else text

    def _runs(self) -> str:
        tasks = self.total - self._subflows
        runs = [_plural(tasks, "task run", "task runs")] if tasks else []
        if self._subflows:
            runs.append(_plural(self._subflows, "subflow", "subflows"))
        return " and ".join(runs)


def _plural(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
