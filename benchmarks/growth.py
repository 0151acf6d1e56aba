"""Growth: the same queries on a small and a large database, and the memory of small and large flows.

python -m benchmarks.growth --rows 1000000   sets the number of task runs in the large database
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cached_property, partial
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc

from benchmarks.figures import write
from benchmarks.measuring import Measurement, measure, report, screen
from benchmarks.populated import COMMON_KEY, COMMON_TAG, RARE_KEY, RARE_TAG, Populated, populate
from benchmarks.processes import flow
from clearway.v1 import cache_pb2, concurrency_limit_pb2, explanation_pb2, state_pb2, task_run_pb2
from clearway.v1.orchestrator_pb2_grpc import OrchestratorStub
from support.server import Server

_SMALL = 100
_CALLS = 40
_TASKS = 300
_FEW = 1_000


class Place:
    """A database with a given number of task runs, and a server for it; both are created on first use.

    Args:
        home: The folder to use as ``CLEARWAY_HOME``.
        task_runs: The number of task runs in the database.
        stack: Stops the server.
    """

    def __init__(self, home: Path, task_runs: int, stack: ExitStack) -> None:
        self.environment = {"CLEARWAY_HOME": str(home)}
        self._database = home / "clearway.db"
        self._task_runs = task_runs
        self._stack = stack

    @cached_property
    def populated(self) -> Populated:
        """The contents of the database."""
        return populate(self._database, self._task_runs)

    @cached_property
    def stub(self) -> Any:
        """The stub for calling the server."""
        assert self.populated
        server = self._stack.enter_context(Server(self._database))
        return OrchestratorStub(self._stack.enter_context(grpc.insecure_channel(server.address)))

    def sequential(self) -> float:
        """Return the milliseconds per sequential task of a flow, embedded."""
        assert self.populated
        return flow("sequential", _TASKS, self.environment)()


Call = Callable[[Place, str], object]


def _listed(wanted: task_run_pb2.TaskRunFilter, size: int = 100) -> Call:
    request = task_run_pb2.ListTaskRunsRequest(filter=wanted, page_size=size)
    return lambda place, _id: place.stub.ListTaskRuns(request)


def _set_limit(place: Place, _id: str) -> None:
    request = concurrency_limit_pb2.SetConcurrencyLimitRequest(tag=COMMON_TAG, limit=1)
    place.stub.SetConcurrencyLimit(request)
    asked = concurrency_limit_pb2.GetConcurrencyLimitRequest(tag=COMMON_TAG)
    place.stub.GetConcurrencyLimit(asked)
    removal = concurrency_limit_pb2.DeleteConcurrencyLimitRequest(tag=COMMON_TAG)
    place.stub.DeleteConcurrencyLimit(removal)


_FAILED = state_pb2.STATE_TYPE_FAILED
_FILTER = task_run_pb2.TaskRunFilter

CALLS: dict[str, Call] = {
    "newest page of task runs": _listed(_FILTER()),
    "task runs with a rare tag": _listed(_FILTER(tags=[RARE_TAG])),
    "task runs with a common tag": _listed(_FILTER(tags=[COMMON_TAG])),
    "task runs with a rare name": _listed(_FILTER(task_keys=[RARE_KEY])),
    "failed task runs": _listed(_FILTER(state_types=[_FAILED])),
    "failed task runs with a common name": _listed(_FILTER(task_keys=[COMMON_KEY], state_types=[_FAILED])),
    "task run by id": lambda place, id_: place.stub.GetTaskRun(task_run_pb2.GetTaskRunRequest(id=id_)),
    "history of a task run": lambda place, id_: place.stub.ListTaskRunStates(
        task_run_pb2.ListTaskRunStatesRequest(task_run_id=id_)
    ),
    "explanation of a task run": lambda place, id_: place.stub.ExplainTaskRun(
        explanation_pb2.ExplainTaskRunRequest(id=id_)
    ),
    "limit set, read and removed": _set_limit,
}


def _timed(place: Place, call: Call) -> float:
    """Return the median milliseconds of a call, over runs of all ages in the database."""
    call(place, place.populated.task_run_ids[0])  # opens connections first
    return _median(partial(call, place, id_) for id_ in cycle(place.populated.task_run_ids))


def _looked_up(place: Place) -> float:
    """Return the median milliseconds of a cache lookup."""
    requests = (cache_pb2.LookupCacheRequest(key=key) for key in cycle(place.populated.cache_keys))
    place.stub.LookupCache(next(requests))
    return _median(partial(place.stub.LookupCache, request) for request in requests)


def _median(calls: Iterator[Callable[[], object]]) -> float:
    taken = []
    for _ in range(_CALLS):
        call = next(calls)
        begun = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken) * 1e3


def growth(folder: Path, rows: int, stack: ExitStack) -> list[Measurement]:
    """Return the measurements with ``rows`` task runs, each compared to the same with few.

    Args:
        folder: The folder for the databases.
        rows: The number of task runs in the large one, with two states each.
        stack: Cleans up.
    """
    small, large = Place(folder / "small", _SMALL, stack), Place(folder / "large", rows, stack)
    measures: dict[str, Callable[[Place], float]] = {
        "sequential task": Place.sequential,
        "cache look-up": _looked_up,
        **{name: partial(_timed, call=call) for name, call in CALLS.items()},
    }
    measurements = []
    for name, measure_ in measures.items():
        bare = f"{name}, with {_SMALL:,} task runs"
        measurements += [
            Measurement(bare, "ms", partial(measure_, small)),
            Measurement(f"{name}, with {rows:,} task runs", "ms", partial(measure_, large), bare),
        ]
    return measurements


def memory(embedded: dict[str, str], server: dict[str, str], part: int) -> list[Measurement]:
    """Return the measurements of memory per additional task of a flow, beyond 1,000 tasks.

    Args:
        embedded: The environment for the embedded engine.
        server: The environment for a server, whose own memory is not measured.
        part: The divisor of the sizes: 1 for full size, 100 for a hundredth.
    """

    def grown(kind: str, tasks: int, environment: dict[str, str]) -> float:
        few, many = max(10, _FEW // part), tasks // part
        flow("one", 1, environment)()  # creates the database if necessary
        peaks = [flow(kind, count, environment)() for count in (few, many)]
        return (peaks[1] - peaks[0]) / (many - few)

    return [
        Measurement(
            f"memory for each task of {name} {tasks // part:,}, {place}",
            "bytes",
            partial(grown, kind, tasks, environment),
            once=True,
        )
        for name, kind, tasks in (
            ("a map of", "mapped_peak", 100_000),
            ("a loop of", "sequential_peak", 10_000),
        )
        for place, environment in (("embedded", embedded), ("server", server))
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description="Measure growth.")
    parser.add_argument("--rows", type=int, default=1_000_000, help="task runs (default a million)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    console = screen()
    with TemporaryDirectory() as folder, ExitStack() as stack:
        record = measure(growth(Path(folder), arguments.rows, stack), arguments.rounds, console)
    report(record, console)
    if arguments.json:
        write(record, arguments.json)


if __name__ == "__main__":
    main()
