"""Async flows and tasks, and each kind within the other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import closing
from contextvars import ContextVar
from typing import Any

import pytest

from clearway import AsyncTaskFuture, TaskFuture, TaskRunContext, flow, tags, task
from clearway._execution.task.lifecycle import Lifecycle
from clearway._states.phase import Phase
from clearway.exceptions import Deadlock, UpstreamTaskError
from integration.sdk_runs import history, last_flow_run, task_runs

pytestmark = pytest.mark.usefixtures("service")


@task
async def add(x: int, y: int = 1) -> int:
    await asyncio.sleep(0)
    return x + y


@task
def double(x: int) -> int:
    return 2 * x


@task
async def fail() -> int:
    raise ValueError("bad")


async def test_async_tasks_run_on_the_flow_s_loop() -> None:
    @task
    async def loop() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    @flow
    async def loops() -> bool:
        mine = asyncio.get_running_loop()
        return await loop() is await (await loop.submit()).result() is mine

    assert await loops()


async def test_tasks_are_gathered() -> None:
    meet = asyncio.Barrier(10)

    @task
    async def wait(number: int) -> int:
        await meet.wait()  # needs all of them at once
        return number

    @flow
    async def gathering() -> list[int]:
        return await asyncio.gather(*[wait(number) for number in range(10)])

    assert await gathering() == list(range(10))


async def test_submitted_tasks_run_while_the_flow_does_not_wait() -> None:
    meet = asyncio.Barrier(5)

    @task
    async def wait(number: int) -> int:
        await meet.wait()
        return number

    @flow
    async def submitting() -> list[int]:
        futures = [await wait.submit(number) for number in range(5)]
        assert all(isinstance(future, AsyncTaskFuture) for future in futures)
        return [await future.result() for future in futures]

    assert await submitting() == list(range(5))


async def test_async_tasks_are_mapped() -> None:
    @flow
    async def mapping() -> list[int]:
        first = await add.map([1, 2, 3])
        second = await add.map(first, y=await add.submit(9))
        return [await future.result() for future in second]

    assert await mapping() == [12, 13, 14]
    assert task_runs("mapping")["add-4"].task_inputs["x"]


async def test_the_states_of_async_tasks() -> None:
    @flow
    async def states() -> str:
        good = await add(1, return_state=True)
        bad = await fail(return_state=True)
        assert (good.name, good.result(), bad.name) == ("Completed", 2, "Failed")
        assert (await add.submit(1, return_state=True)).result() == 2
        assert [state.name for state in await add.map([1], return_state=True)] == ["Completed"]
        with pytest.raises(ValueError, match="bad"):
            await fail()
        future = await add.submit(await fail.submit())
        with pytest.raises(UpstreamTaskError):
            await future.result()
        state = await future.wait()
        assert state is not None
        return state.name

    assert await states() == "NotReady"


async def test_sync_tasks_in_an_async_flow() -> None:
    @flow
    async def mixed() -> list[int]:
        future = double.submit(2)
        assert isinstance(future, TaskFuture)
        upstream = await add.submit(1)
        later = double.submit(upstream)
        with pytest.raises(Deadlock, match="await its future first"):
            later.result()
        await upstream.wait()
        return [double(1), future.result(), later.result(), *[one.result() for one in double.map([5])]]

    assert await mixed() == [2, 4, 4, 10]


def test_async_tasks_in_a_sync_flow() -> None:
    threads: list[Any] = []

    @task
    async def thread() -> int:
        threads.append((threading.get_ident(), asyncio.get_running_loop()))
        return 1

    @flow
    def mixed() -> tuple[Any, ...]:
        future: Any = thread.submit()
        mapped: Any = add.map([1, future])
        direct: Any = thread()
        return direct, future.result(), [one.result() for one in mapped], add(1, return_state=True)

    direct, submitted, mapped, state = mixed()
    assert (direct, submitted, mapped, state.result()) == (1, 1, [2, 2], 2)
    assert len(set(threads)) == 1
    assert threads[0][0] != threading.get_ident()


async def test_sync_and_async_subflows_in_an_async_flow() -> None:
    @flow
    def sync_child(x: int) -> int:
        result: Any = add(x)
        return double(result)

    @flow
    async def async_child(x: int) -> int:
        return double(await add(x))

    @flow
    async def parent() -> list[int]:
        return [
            sync_child(1),
            await async_child(2),
            *await asyncio.gather(async_child(3), async_child(4)),
        ]

    assert await parent() == [4, 6, 8, 10]
    assert {run.state.name for run in task_runs("parent").values()} == {"Completed"}


def test_async_subflows_in_a_sync_flow() -> None:
    @flow
    async def child(x: int) -> int:
        futures = [await add.submit(x), await add.submit(x)]
        return sum([await future.result() for future in futures])

    @flow
    def parent() -> int:
        results: list[Any] = [child(1), child(2)]
        return sum(results)

    assert parent() == 10
    assert last_flow_run("child").state.is_completed()


@pytest.mark.parametrize("call", [lambda: add.submit(1), lambda: add(1), lambda: add.map([1])])
async def test_calls_that_are_not_awaited_start_nothing(call: Callable[[], Any]) -> None:
    @flow
    async def forgetful() -> str:
        call().close()
        return "done"

    assert await forgetful() == "done"
    assert task_runs("forgetful") == {}


async def test_retries_of_async_tasks() -> None:
    calls = []

    @task(retries=2, retry_delay_seconds=0.01)
    async def flaky() -> int:
        calls.append(1)
        if len(calls) % 3:
            raise ConnectionError("again")
        return len(calls)

    @flow
    async def flakies() -> list[int]:
        return [await flaky(), await (await flaky.submit()).result()]

    assert await flakies() == [3, 6]
    run = task_runs("flakies")["flaky-1"]
    assert history(run.id) == ["Running"] + ["AwaitingRetry", "Retrying"] * 2 + ["Completed"]


async def test_a_task_that_is_cancelled_is_crashed_and_the_flow_goes_on() -> None:
    begun = asyncio.Event()

    @task
    async def forever() -> None:
        begun.set()
        await asyncio.Event().wait()

    @flow
    async def impatient() -> str:
        waits = asyncio.ensure_future(forever())
        await begun.wait()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(waits, 0.01)
        return "done"

    assert await impatient() == "done"
    state = task_runs("impatient")["forever-0"].state
    assert (state.name, state.message) == (
        "Crashed",
        "cancelled: the asyncio task that it ran in was cancelled",
    )


async def test_a_flow_that_is_cancelled_is_crashed_with_all_its_runs() -> None:
    started = asyncio.Event()

    @task
    async def forever() -> None:
        started.set()
        await asyncio.Event().wait()

    @flow
    async def cancelled() -> None:
        await forever.submit()
        await forever()

    running = asyncio.create_task(cancelled())
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert last_flow_run("cancelled").state.name == "Crashed"
    states = [run.state.name for run in task_runs("cancelled").values()]
    assert set(states) <= {"Crashed", "Cancelled"}


async def test_context_variables_are_those_of_the_call() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")

    @task
    async def read() -> str:
        assert TaskRunContext.get() is not None
        return variable.get()

    @flow
    async def reading() -> list[str]:
        variable.set("one")
        first = read.submit()
        variable.set("two")
        return [await (await first).result(), await read()]

    assert await reading() == ["one", "two"]
    assert TaskRunContext.get() is None


async def test_an_async_flow_fails_with_its_own_exception() -> None:
    @flow
    async def failing() -> None:
        await fail()

    with pytest.raises(ValueError, match="bad"):
        await failing()
    assert (await failing(return_state=True)).is_failed()


async def test_an_async_flow_s_retry_runs_again_only_what_did_not_complete() -> None:
    calls: list[str] = []

    @task
    async def step(name: str) -> str:
        calls.append(name)
        if calls.count("second") == 1 and name == "second":
            raise ValueError("bad")
        return name

    @flow(retries=1)
    async def retried() -> list[str]:
        return [await step("first"), await step("second")]

    assert await retried() == ["first", "second"]
    assert calls == ["first", "second", "second"]


def test_tasks_of_a_sync_flow_called_by_asyncio_to_thread() -> None:
    @flow
    async def threaded() -> int:
        return await asyncio.to_thread(double, 4)

    assert asyncio.run(threaded()) == 8


async def test_tags_are_those_of_the_call() -> None:
    @flow
    async def child() -> int:
        return await add(1)

    @flow
    async def parent() -> None:
        with tags("inner"):
            calls = [child(), add(1), add.submit(1)]
        for call in calls:
            await call

    with tags("outer"):
        running = parent()
    await running
    assert last_flow_run("parent").tags == ("outer",)
    assert last_flow_run("child").tags == ("inner", "outer")
    assert {run.tags for run in task_runs("parent").values()} == {("inner", "outer")}
    assert task_runs("child")["add-0"].tags == ("inner", "outer")


async def test_a_large_result_of_an_async_task_is_kept() -> None:
    @task
    async def large() -> list[int]:
        return list(range(10_000))

    @flow
    async def making() -> list[int]:
        return await large()

    assert await making() == list(range(10_000))
    assert task_runs("making")["large-0"].state.result() == list(range(10_000))


def test_a_ctrl_c_between_the_steps_of_an_async_task_is_raised_by_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    move = Lifecycle.move
    here = threading.current_thread()
    pressed: list[Phase] = []

    def interrupted(life: Lifecycle, phase: Phase) -> None:
        if phase is Phase.ENDING and threading.current_thread() is here and not pressed:
            pressed.append(phase)
            raise KeyboardInterrupt  # as the interpreter does between any two instructions
        move(life, phase)

    @task
    async def quick() -> None: ...

    @flow
    async def main() -> None:
        future = await quick.submit()
        await future.wait()

    monkeypatch.setattr(Lifecycle, "move", interrupted)
    loop = asyncio.new_event_loop()  # asyncio.run would make a cancellation of the first one
    running: Any = main(return_state=True)
    with closing(loop), pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(running)
    assert pressed
