"""How a flow ends, by what its function returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
    Running,
    Scheduled,
    State,
    TaskFuture,
    flow,
    task,
)
from clearway.exceptions import CancelledRun, CrashedRun, FailedRun
from integration.sdk_runs import flow_history, history, last_flow_run, task_runs

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
