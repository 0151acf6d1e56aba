"""How a flow ends, by what its function returns."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from clearway import (
    AwaitingRetry,
    Cancelled,
    Completed,
    Crashed,
    Failed,
    Pending,
    ProcessPoolTaskRunner,
    Running,
    Scheduled,
    State,
    TaskFuture,
    flow,
    task,
)
from clearway.exceptions import CancelledRun, CrashedRun, FailedRun, NotAwaited
from integration.sdk_runs import flow_history, history, last_flow_run, task_runs
from support.foreign_times import foreign_now

pytestmark = pytest.mark.usefixtures("service")


@task
def good(x: int = 1) -> int:
    return x


@task
def bad() -> int:
    raise ValueError("bad")


@flow
def good_child() -> int:
    return 7


@flow
def bad_child() -> None:
    raise KeyError("child")


def values(result: Any) -> Any:
    """Return a flow's result with the results of the states in it, exceptions as their classes."""
    if isinstance(result, State):
        value = result.result(raise_on_failure=False)
        return type(value) if isinstance(value, BaseException) else value
    if isinstance(result, dict):
        return {key: values(value) for key, value in result.items()}
    if isinstance(result, (list, tuple, set)):
        return type(result)(values(value) for value in result)
    return result


def numbers() -> Iterator[int]:
    yield from range(3)


def submitted() -> Iterator[TaskFuture[int]]:
    for number in range(2):
        yield good.submit(number)


COMPLETED: dict[str, tuple[Callable[[], Any], Any]] = {
    "data": (lambda: {"a": [1]}, {"a": [1]}),
    "data beside a failed run": (lambda: [bad.submit(), 5][1], 5),
    "an exception as data": (lambda: KeyError, KeyError),
    "an empty list": (lambda: [bad.submit() for _ in ()], []),
    "a generator": (numbers, [0, 1, 2]),
    "a generator of futures": (submitted, [0, 1]),
    "a future": (lambda: good.submit(3), 3),
    "a state": (lambda: good(3, return_state=True), 3),
    "a list of futures": (lambda: good.map([1, 2]), [1, 2]),
    "a tuple of states": (lambda: (good(1, return_state=True),), (1,)),
    "a set of futures": (lambda: {good.submit(1), good.submit(2)}, {1, 2}),
    "a future and a state": (lambda: [good.submit(1), good(2, return_state=True)], [1, 2]),
    "a dictionary of futures": (lambda: {"a": good.submit(1), "b": bad.submit()}, {"a": 1, "b": ValueError}),
    "a mixture": (lambda: [bad.submit(), 5], [ValueError, 5]),
    "futures deeper down": (lambda: [[bad.submit()]], [[ValueError]]),
    "the state of a subflow": (lambda: good_child(return_state=True), 7),
    "nothing": (lambda: None, None),
    "nothing, with good runs": (lambda: (good.submit(), good_child(), None)[2], None),
    "a state made by hand": (lambda: Completed(5, message="fine"), 5),
    "a state made by hand beside a failed run": (lambda: [bad.submit(), Completed(5)][1], 5),
}
ENDED: dict[str, tuple[Callable[[], Any], str, type[BaseException]]] = {
    "a failed future": (bad.submit, "Failed", ValueError),
    "a failed state": (lambda: bad(return_state=True), "Failed", ValueError),
    "one failed of several": (lambda: [good.submit(), bad.submit()], "Failed", ValueError),
    "one failed of a set": (lambda: {good.submit(), bad.submit()}, "Failed", ValueError),
    "a generator with a failed one": (lambda: (each.submit() for each in (good, bad)), "Failed", ValueError),
    "the state of a failed subflow": (lambda: bad_child(return_state=True), "Failed", KeyError),
    "nothing, with a failed run": (lambda: (good.submit(), bad.submit(), None)[2], "Failed", ValueError),
    "nothing, with a failed subflow": (lambda: (bad_child(return_state=True), None)[1], "Failed", KeyError),
    "Failed by hand": (lambda: Failed(message="by hand"), "Failed", FailedRun),
    "Failed by hand with an exception": (lambda: Failed(KeyError("k")), "Failed", KeyError),
    "a state that is no end": (lambda: Pending(), "Failed", FailedRun),  # noqa: PLW0108
    "Cancelled by hand": (lambda: Cancelled(message="by hand"), "Cancelled", CancelledRun),
    "Crashed by hand": (lambda: Crashed(message="by hand"), "Crashed", CrashedRun),
    "a name of one's own": (lambda: Failed(name="Rejected", message="by hand"), "Rejected", FailedRun),
    "a generator that raises": (lambda: (1 // number for number in (1, 0)), "Failed", ZeroDivisionError),
}


@pytest.mark.parametrize("case", COMPLETED)
def test_a_flow_is_completed(case: str) -> None:
    make, expected = COMPLETED[case]

    @flow
    def returning() -> Any:
        return make()

    assert values(returning()) == expected
    state = returning(return_state=True)
    assert state.is_completed()
    assert values(state.result()) == expected
    assert last_flow_run("returning").state.is_completed()


@pytest.mark.parametrize("case", ENDED)
def test_a_flow_is_not_completed(case: str) -> None:
    make, name, error = ENDED[case]

    @flow
    def returning() -> Any:
        return make()

    with pytest.raises(error):
        returning()
    state = returning(return_state=True)
    assert state.name == last_flow_run("returning").state.name == name
    assert isinstance(state.result(raise_on_failure=False), error)


@pytest.mark.parametrize("case", ["a future", "a list of futures", "data", "a generator"])
async def test_an_async_flow_ends_as_a_sync_one(case: str) -> None:
    make, expected = COMPLETED[case]

    @flow
    async def returning() -> Any:
        return make()

    assert values(await returning()) == expected
    state = await returning(return_state=True)
    assert values(state.result()) == expected


async def test_an_async_flow_fails_as_a_sync_one() -> None:
    @task
    async def async_bad() -> None:
        raise ValueError("bad")

    @flow
    async def returning() -> Any:
        return [await async_bad.submit(), good.submit()]

    with pytest.raises(ValueError, match="bad"):
        await returning()
    assert (await returning(return_state=True)).is_failed()


@pytest.mark.parametrize("again", [Scheduled, AwaitingRetry, lambda: Scheduled(datetime.now(UTC))])
def test_a_flow_that_returns_a_scheduled_state_runs_again(again: Callable[[], State[Any]]) -> None:
    calls: list[int] = []

    @flow
    def returning() -> Any:
        calls.append(1)
        return again() if len(calls) == 1 else 5

    assert returning() == 5
    assert len(calls) == 2
    assert flow_history(last_flow_run("returning").id)[-1] == "Completed"


def test_a_task_that_returns_a_scheduled_state_runs_again() -> None:
    calls: list[int] = []

    @task
    def work() -> Any:
        calls.append(1)
        return AwaitingRetry() if len(calls) == 1 else 5

    @flow
    def working() -> Any:
        return work()

    assert working() == 5
    assert history(task_runs("working")["work-0"].id) == ["Running", "AwaitingRetry", "Retrying", "Completed"]


def test_a_task_cannot_end_as_running() -> None:
    @task
    def work() -> Any:
        return Running()

    @flow
    def working() -> Any:
        return work()

    with pytest.raises(FailedRun, match=r"returned Running\(\), in which no run can end; return Completed"):
        working()


def test_a_generator_of_a_task_is_a_list() -> None:
    @task
    def counting(stop: int) -> Iterator[int]:
        yield from range(stop)

    @flow
    def working() -> Any:
        return counting(2), counting.submit(3).result()

    assert working() == ([0, 1], [0, 1, 2])


def test_a_time_of_a_class_derived_from_datetime_is_when_a_run_runs_again() -> None:
    calls: list[str] = []

    @task
    def work() -> Any:
        calls.append("task")
        return AwaitingRetry(scheduled_time=foreign_now()) if calls.count("task") == 1 else 5

    @flow
    def working() -> Any:
        calls.append("flow")
        return Scheduled(foreign_now()) if calls.count("flow") == 1 else work()

    assert working() == 5
    assert calls == ["flow", "flow", "task", "task"]


async def later(number: int) -> int:
    return number


class Later:
    def __await__(self) -> Any:
        yield


async def numbers() -> AsyncIterator[int]:
    yield 1


def sync_wrapper(fn: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fn)
    def wrapper(*args: Any) -> Any:
        return fn(*args)

    return wrapper


NOT_AWAITED: dict[str, tuple[Callable[[], Any], str]] = {
    "a coroutine": (lambda: later(1), "returned the coroutine 'later', which was not awaited"),
    "an async generator": (
        numbers,
        r"returned <async_generator .*, which is no result; return \[x async for",
    ),
    "an awaitable": (Later, "returned .*Later object .*, which was not awaited"),
    "coroutines": (lambda: [later(1), later(2)], r"a list with the coroutine 'later', .* asyncio\.gather"),
    "a tuple with one": (lambda: (1, later(1)), "a tuple with the coroutine 'later'"),
    "a dictionary with one": (lambda: {"a": later(1)}, "a dict with the coroutine 'later'"),
    "a generator of them": (
        lambda: (later(number) for number in (1, 2)),
        "a list with the coroutine 'later'",
    ),
    "a state with one": (lambda: Completed(later(1)), "returned the coroutine 'later'"),
}


@pytest.mark.parametrize("case", NOT_AWAITED)
def test_a_sync_function_that_returns_what_is_to_be_awaited_fails(case: str) -> None:
    make, message = NOT_AWAITED[case]

    @task(retries=0)
    def work() -> Any:
        return make()

    @flow
    def working() -> Any:
        return work.submit(return_state=True), work(return_state=True)

    @flow
    def returning() -> Any:
        return make()

    with pytest.raises(NotAwaited, match=f"the task 'work' .*{message}"):
        working()
    assert [run.state.is_failed() for run in task_runs("working").values()] == [True, True]
    with pytest.raises(NotAwaited, match=f"the flow 'returning' .*{message}"):
        returning()
    assert last_flow_run("returning").state.is_failed()


@pytest.mark.parametrize("case", NOT_AWAITED)
async def test_an_async_function_that_returns_what_is_to_be_awaited_fails(case: str) -> None:
    make, message = NOT_AWAITED[case]

    @task
    async def work() -> Any:
        return make()

    @flow
    async def working() -> Any:
        return await work()

    @flow
    async def returning() -> Any:
        return make()

    with pytest.raises(NotAwaited, match=f"the task 'work' .*{message}"):
        await working()
    with pytest.raises(NotAwaited, match=f"the flow 'returning' .*{message}"):
        await returning()
    assert last_flow_run("returning").state.is_failed()


async def test_an_asyncio_task_is_no_result() -> None:
    @flow
    async def returning() -> Any:
        return asyncio.create_task(later(1))

    with pytest.raises(NotAwaited, match="<Task pending"):
        await returning()


async def test_a_task_or_flow_of_the_flow_that_is_not_awaited_is_no_result() -> None:
    @task
    async def work() -> int:
        return 1

    @flow
    async def child() -> int:
        return 1

    for forgotten in (work, work.submit, child):

        @flow
        async def returning(forgotten: Any = forgotten) -> Any:
            return forgotten()

        with pytest.raises(NotAwaited, match=r"coroutine '(work|child)"):
            await returning()


@pytest.mark.parametrize("wrapped", ["a task", "a flow"])
def test_a_sync_wrapper_of_an_async_function_is_an_error_that_says_so(wrapped: str) -> None:
    fn = sync_wrapper(later)

    @flow
    def working() -> Any:
        return task(fn)(1)

    with pytest.raises(NotAwaited, match="its function is not async; define it, and each decorator"):
        working() if wrapped == "a task" else flow(fn)(1)


def test_a_worker_process_says_it_too() -> None:
    @flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
    def working() -> Any:
        return task(sync_wrapper(later)).submit(1).result()

    with pytest.raises(NotAwaited, match="the task 'later' returned the coroutine 'later'"):
        working()
