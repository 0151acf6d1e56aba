"""Hooks: what is called, when, and with what."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from clearway import (
    Cancelled,
    Flow,
    ProcessPoolTaskRunner,
    State,
    Task,
    flow,
    get_client,
    get_run_logger,
    runtime,
    task,
)
from clearway.schemas import FlowRun, TaskRun
from integration.sdk_runs import history, last_flow_run, task_runs

pytestmark = pytest.mark.usefixtures("service")


class Told:
    """Notes what hooks are called with."""

    def __init__(self) -> None:
        self.states: list[str] = []
        self.runs: list[TaskRun | FlowRun] = []

    def hook(self, owner: Any, run: TaskRun | FlowRun, state: State[Any]) -> None:
        assert isinstance(owner, Flow | Task)
        assert run.state is state
        self.states.append(f"{owner.name} {state.name}")
        self.runs.append(run)


@pytest.mark.parametrize("submitted", [False, True])
def test_a_task_s_hooks_are_called_at_its_transitions_in_order(submitted: bool) -> None:
    told = Told()
    calls: list[str] = []

    @task(retries=1, on_running=[told.hook], on_completion=[told.hook], on_failure=[told.hook], name="worker")
    def work() -> int:
        calls.append(f"after {len(told.states)}")
        if len(calls) == 1:
            raise ValueError("once")
        return 5

    @flow
    def working() -> int:
        return work.submit().result() if submitted else work()

    assert working() == 5
    assert told.states == ["worker Running", "worker Retrying", "worker Completed"]
    assert calls == ["after 1", "after 2"]
    (run,) = task_runs("working").values()
    assert {told_run.id for told_run in told.runs} == {run.id}
    assert told.runs[-1].state.data == 5
    assert told.runs[-1].end_time == run.end_time


@pytest.mark.parametrize("submitted", [False, True])
def test_a_task_s_on_failure_is_called_once_after_the_last_attempt(submitted: bool) -> None:
    told = Told()

    @task(retries=2, on_failure=[told.hook], on_completion=[told.hook])
    def work() -> None:
        raise ValueError("always")

    @flow
    def working() -> bool:
        state = work.submit(return_state=True) if submitted else work(return_state=True)
        return state.is_failed()

    assert working() is True
    assert told.states == ["work Failed"]
    assert isinstance(told.runs[0].state.data, ValueError)
    assert told.runs[0].run_count == 3


async def test_async_tasks_and_async_hooks() -> None:
    told, loops = Told(), []

    async def hook(owner: Any, run: TaskRun, state: State[Any]) -> None:
        await asyncio.sleep(0)
        loops.append(asyncio.get_running_loop())
        told.hook(owner, run, state)

    @task(on_running=[hook, told.hook], on_completion=[hook])
    async def work() -> int:
        return 5

    @task(on_completion=[hook])
    def sync_work() -> int:
        return 6

    @flow(on_running=[hook], on_completion=[told.hook, hook])
    async def working() -> list[int]:
        first = await work.submit()
        return [await first.result(), await work(), sync_work.submit().result(), sync_work()]

    assert await working() == [5, 5, 6, 6]
    assert told.states == [
        "working Running",
        *["work Running", "work Running", "work Completed"] * 2,
        *["sync_work Completed"] * 2,
        *["working Completed"] * 2,
    ]
    here = asyncio.get_running_loop()
    assert loops.count(here) == len(loops) - 2  # a sync task's run beside the loop, which may stand


def test_an_async_hook_of_a_sync_task_and_flow() -> None:
    told = Told()

    async def hook(owner: Any, run: TaskRun, state: State[Any]) -> None:
        await asyncio.sleep(0)
        told.hook(owner, run, state)

    @task(on_completion=[hook])
    def work() -> None: ...

    @flow(on_completion=[hook])
    def working() -> None:
        work()
        work.submit().wait()

    working()
    assert told.states == ["work Completed", "work Completed", "working Completed"]


@pytest.mark.parametrize("submitted", [False, True])
def test_a_hook_that_raises_is_logged_and_changes_nothing(submitted: bool) -> None:
    told = Told()

    def broken(*_: object) -> None:
        raise ZeroDivisionError("in the hook")

    @task(on_running=[broken], on_completion=[broken, told.hook])
    def work() -> int:
        return 5

    @flow(on_completion=[broken, told.hook])
    def working() -> int:
        return work.submit().result() if submitted else work()

    assert working() == 5
    assert told.states == ["work Completed", "working Completed"]
    run = last_flow_run("working")
    assert run.state.name == "Completed"
    with get_client() as client:
        lines = [line.message for line in client.read_logs(flow_run_id=run.id) if line.level == 40]
    assert len(lines) == 3
    assert all("the hook broken raised an exception" in line for line in lines)
    assert all("ZeroDivisionError: in the hook" in line for line in lines)


def test_a_cached_run_is_completed_too() -> None:
    told = Told()

    @task(
        cache_key_fn=lambda *_: runtime.flow_run.id,
        on_running=[told.hook],
        on_completion=[told.hook],
    )
    def work() -> int:
        return 5

    @flow
    def working() -> None:
        work()
        work()

    working()
    assert told.states == ["work Running", "work Completed", "work Cached"]


def test_what_a_flow_s_retry_finds_completed_is_not_told_again() -> None:
    told = Told()
    attempts: list[int] = []

    @task(on_completion=[told.hook])
    def work() -> None: ...

    @flow(retries=1, on_running=[told.hook], on_failure=[told.hook], on_completion=[told.hook])
    def working() -> None:
        work()
        attempts.append(1)
        if len(attempts) == 1:
            raise ValueError("once")

    working()
    assert told.states == ["working Running", "work Completed", "working Retrying", "working Completed"]


def test_a_flow_s_hooks_are_called_as_it_ends() -> None:
    told = Told()
    ended = {"on_failure": [told.hook], "on_cancellation": [told.hook], "on_completion": [told.hook]}

    @flow(**ended)  # type: ignore[arg-type]
    def ending(how: str) -> Any:
        if how == "cancelled":
            return Cancelled(message="enough")
        raise ValueError(how)

    assert ending("cancelled", return_state=True).is_cancelled()
    assert ending("failed", return_state=True).is_failed()
    assert told.states == ["ending Cancelled", "ending Failed"]
    assert isinstance(told.runs[1], FlowRun)
    assert told.runs[1].id == last_flow_run("ending").id


def test_a_flow_that_is_interrupted_tells_its_on_crashed() -> None:
    told = Told()

    @flow(on_crashed=[told.hook], on_completion=[told.hook])
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert told.states == ["interrupted Crashed"]
    assert last_flow_run("interrupted").state.name == "Crashed"


async def test_a_flow_whose_asyncio_task_is_cancelled_tells_its_on_crashed() -> None:
    told, began = Told(), asyncio.Event()

    @flow(on_crashed=[told.hook])
    async def cancelled() -> None:
        began.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(cancelled())
    await began.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert told.states == ["cancelled Crashed"]


def test_an_interrupt_of_a_hook_takes_no_state_back() -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    @task(on_completion=[interrupt])
    def work() -> None: ...

    @flow
    def working() -> None:
        work()

    @flow(on_completion=[interrupt])
    def well() -> None: ...

    with pytest.raises(KeyboardInterrupt):
        working()
    assert history(task_runs("working")["work-0"].id) == ["Running", "Completed"]
    with pytest.raises(KeyboardInterrupt):
        well()
    assert last_flow_run("well").state.name == "Completed"


def test_a_hook_belongs_to_its_run() -> None:
    seen: list[tuple[str | None, str | None]] = []

    def look(*_: object) -> None:
        get_run_logger().info("looking")
        seen.append((runtime.flow_run.name, runtime.task_run.name))

    @task(on_completion=[look])
    def work() -> None: ...

    @flow(flow_run_name="hooked", on_completion=[look])
    def working() -> None:
        work.submit().wait()

    working()
    assert seen == [("hooked", "work-0"), ("hooked", None)]


def test_others_learn_of_a_completion_when_its_hooks_are_done() -> None:
    began, go_on = threading.Event(), threading.Event()
    order: list[str] = []

    def slow(*_: object) -> None:
        began.set()
        assert go_on.wait(30)
        order.append("hook")

    @task(on_completion=[slow])
    def work() -> None: ...

    @flow
    def working() -> None:
        future = work.submit()
        assert began.wait(30)
        assert not future.is_done()
        go_on.set()
        future.wait()
        order.append("waited")

    working()
    assert order == ["hook", "waited"]


def test_hooks_and_prints_of_a_task_in_a_worker_process() -> None:
    told, lock = Told(), threading.Lock()

    def hook(owner: Any, run: TaskRun, state: State[Any]) -> None:
        with lock:  # which no other process could be sent
            told.hook(owner, run, state)

    @task(on_running=[hook], on_completion=[hook], log_prints=True)
    def work() -> None:
        print("from the worker")

    @flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
    def working() -> None:
        work.submit().wait()

    working()
    assert told.states == ["work Running", "work Completed"]
    (run,) = task_runs("working").values()
    with get_client() as client:
        assert [line.message for line in client.read_logs(task_run_id=run.id)] == ["from the worker"]


def test_a_flow_that_fails_of_its_arguments_tells_its_on_failure() -> None:
    told = Told()

    @flow(flow_run_name="for {x}", on_running=[told.hook], on_failure=[told.hook])
    def picky(x: int) -> None:
        pytest.fail(f"its code ran with {x}")

    assert picky("no number", return_state=True).is_failed()
    assert told.states == ["picky Failed"]
