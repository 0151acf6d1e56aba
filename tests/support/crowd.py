"""A crowd of processes that share a limit and get killed, with the invariants at the end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random

from support.database import history_gaps, most_running, row_counts, rows, slots_of_the_dead
from support.waiting import wait_until
from support.workers import Worker

_COMPLETED, _CRASHED = 4, 7
_PATIENCE_SECONDS = 60


class Crowd:
    """Processes that run tasks with one tag; a killed process is replaced.

    Args:
        launch: Starts a process, given its number and the keys of its runs.
        size: The number of processes.
        runs_each: How many runs each of them has to finish.
        stack: Ends the processes.

    Attributes:
        runs: The total number of runs.
    """

    def __init__(
        self, launch: Callable[[int, str], Worker], size: int, runs_each: int, stack: ExitStack
    ) -> None:
        self.runs = size * runs_each
        self._launch, self._runs_each, self._stack = launch, runs_each, stack
        self._told: list[tuple[str, str, int]] = []
        self._workers = [self._start(number) for number in range(size)]

    def _start(self, number: int) -> Worker:
        keys = ",".join(f"{number}-{index}" for index in range(self._runs_each))
        return self._stack.enter_context(self._launch(number, keys))

    def replace(self, chance: Random) -> None:
        """Kill a process, a working one if possible, and start a successor for its runs."""
        numbers = range(len(self._workers))
        number = chance.choice([each for each in numbers if self._workers[each].running] or list(numbers))
        self._workers[number].kill()
        self._listen()
        self._workers[number] = self._start(number)

    def _listen(self) -> int:
        """Record the processes' reports; return the number of reported accepts."""
        for worker in self._workers:
            for said in worker.said():
                if "accept" in said:
                    proposal_id, run_id, type_ = said["accept"]
                    self._told.append((proposal_id, run_id, type_))
        return len(self._told)

    def await_accepts(self, count: int) -> None:
        """Wait until ``count`` more accepts are reported, or all processes have ended."""
        wanted = self._listen() + count

        def heard() -> bool:
            return self._listen() >= wanted or not any(worker.running for worker in self._workers)

        wait_until(heard, f"{wanted} accepts", _PATIENCE_SECONDS)

    def finish(self) -> None:
        """Wait until each process has finished its runs."""
        for worker in self._workers:
            assert worker.wait() == 0, worker.errors[-20:]
        self._listen()

    def check(self, database: Path, tag: str, limit: int) -> None:
        """Check that no accept was lost, no slot leaked, and the limit was never exceeded."""
        states = rows(database, "SELECT id, run_id, type FROM state")
        recorded = {id_: (run_id, type_) for id_, run_id, type_ in states}
        assert self._told
        for proposal_id, run_id, type_ in self._told:
            assert recorded[proposal_id] == (run_id, type_), "a reported accept is missing from the history"
        ended = rows(database, "SELECT state_type, count(*) FROM task_run GROUP BY state_type")
        assert {type_ for type_, _ in ended} <= {_COMPLETED, _CRASHED}
        assert sum(count for _, count in ended) == self.runs
        assert most_running(database, tag) == limit
        assert history_gaps(database) == []
        assert slots_of_the_dead(database) == []
        left = row_counts(database)
        assert (left["slot"], left["waiter"], left["waiter_tag"]) == (0, 0, 0)
