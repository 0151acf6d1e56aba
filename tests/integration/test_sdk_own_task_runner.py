"""Task runners that follow the protocol and are not ours."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from clearway import flow, task
from clearway.exceptions import WorkerDied
from clearway.task_runners import TaskCall, TaskConcurrencyType, TaskExecutor, run_call
from integration.sdk_runs import task_runs
from support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("service")


class OwnRunner:
    """Executes calls on threads of its own, and can be told to fail."""

    max_workers = 2

    def __init__(
        self, concurrency_type: TaskConcurrencyType, *, broken: str = "", as_bytes: bool = False
    ) -> None:
        self.concurrency_type = concurrency_type
        self.events: list[str] = []
        self.broken = broken
        self.as_bytes = as_bytes

    def start(self) -> TaskExecutor:
        if self.broken == "start":
            raise ConnectionError("no cluster there")
        self.events.append("start")
        return OwnExecutor(self)


class OwnExecutor:
    """What ``OwnRunner`` starts."""

    def __init__(self, runner: OwnRunner) -> None:
        self._runner = runner
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="own")

    def execute(self, call: TaskCall) -> None:
        if self._runner.broken == "execute":
            raise ConnectionError("the cluster is gone")
        if self._runner.broken == "fail":
            call.fail(WorkerDied(f"nobody runs {call.name}"))
            call.run()  # too late, and so not done
        elif self._runner.as_bytes:
            data = call.to_bytes()
            self._pool.submit(lambda: call.finish(run_call(data)))
        else:
            self._pool.submit(call.run)

    def cancel(self, call: TaskCall) -> None:
        self._runner.events.append(f"cancel {call.name}")

    def stop(self) -> None:
        self._runner.events.append("stop")
        self._pool.shutdown(wait=False)


@task
def where(number: int) -> tuple[int, str]:
    """Return the thread that runs this."""
    return number, threading.current_thread().name.partition("_")[0].partition("-")[0]


@task
async def where_async(number: int) -> tuple[int, str]:
    """Return the thread that runs this."""
    return number, threading.current_thread().name.partition("_")[0].partition("-")[0]


@pytest.mark.parametrize("as_bytes", [False, True])
def test_a_concurrent_one_is_given_sync_tasks(*, as_bytes: bool) -> None:
    runner = OwnRunner(TaskConcurrencyType.CONCURRENT, as_bytes=as_bytes)

    @flow(task_runner=runner)
    def finding() -> list[Any]:
        futures: list[Any] = [*where.map(range(5)), where_async.submit(5)]
        return [future.result() for future in futures]

    assert finding() == [*((number, "own") for number in range(5)), (5, "clearway")]
    assert finding()[0] == (0, "own")
    assert runner.events == ["start", "stop"] * 2


def test_a_parallel_one_is_given_async_tasks_too() -> None:
    @flow(task_runner=OwnRunner(TaskConcurrencyType.PARALLEL, as_bytes=True))
    def finding() -> list[Any]:
        return [where.submit(1).result(), where_async.submit(2).result()]

    assert finding() == [(1, "own"), (2, "own")]


def test_a_flow_that_submits_nothing_starts_nothing() -> None:
    runner = OwnRunner(TaskConcurrencyType.PARALLEL)

    @flow(task_runner=runner)
    def calling() -> Any:
        return where(1)

    assert calling()[0] == 1
    assert runner.events == []


def test_one_that_cannot_be_started_fails_the_flow() -> None:
    @flow(task_runner=OwnRunner(TaskConcurrencyType.PARALLEL, broken="start"))
    def starting() -> None:
        where.submit(1)

    with pytest.raises(ConnectionError, match="no cluster there"):
        starting()


@pytest.mark.parametrize("kind", [TaskConcurrencyType.CONCURRENT, TaskConcurrencyType.PARALLEL])
def test_what_executing_raises_fails_the_run(kind: TaskConcurrencyType) -> None:
    @flow(task_runner=OwnRunner(kind, broken="execute"))
    def executing() -> None:
        where.submit(1).result()

    with pytest.raises(ConnectionError, match="the cluster is gone"):
        executing()
    assert task_runs("executing")["where-0"].state.name == "Failed"


def test_a_call_that_was_given_up_is_crashed_and_stays_so() -> None:
    @flow(task_runner=OwnRunner(TaskConcurrencyType.PARALLEL, broken="fail"))
    def giving_up() -> None:
        where.submit(1).result()

    with pytest.raises(WorkerDied, match="nobody runs where-0"):
        giving_up()
    assert task_runs("giving_up")["where-0"].state.name == "Crashed"


def test_an_interrupted_flow_cancels_its_calls_and_stops_the_runner() -> None:
    runner = OwnRunner(TaskConcurrencyType.PARALLEL)
    begun, go_on = threading.Event(), threading.Event()

    @task
    def block() -> None:
        begun.set()
        go_on.wait()

    @flow(task_runner=runner)
    def blocking() -> None:
        block.submit()
        begun.wait()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        blocking()
    go_on.set()
    wait_until(lambda: runner.events[-1] == "stop", "the runner's end")
    assert runner.events[0] == "start"
    assert set(runner.events[1:-1]) == {"cancel block-0"}
    assert task_runs("blocking")["block-0"].state.name == "Crashed"
