"""A function of the user's says of a failure whether the run is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from clearway import State, Task, TaskRunContext, flow, task
from clearway.schemas import TaskRun
from integration.sdk_runs import history, task_runs

pytestmark = pytest.mark.usefixtures("service")

Asked = list[tuple[Task[..., Any], TaskRun, State[Any]]]


def failing(condition: Callable[..., Any], retries: int = 2) -> Task[..., Any]:
    @task(retries=retries, retry_condition_fn=condition)
    def work() -> None:
        raise ConnectionError("away")

    return work


def end_of(work: Task[..., Any], *, submitted: bool = False) -> State[Any]:
    ended: list[State[Any]] = []

    @flow
    def working() -> bool:
        ended.append(work.submit(return_state=True) if submitted else work(return_state=True))
        return True

    assert working()
    return ended[0]


def states() -> list[str]:
    (run,) = task_runs("working").values()
    return history(run.id)


@pytest.mark.parametrize("submitted", [False, True])
def test_a_run_is_not_tried_again_where_the_condition_says_no(submitted: bool) -> None:
    asked: Asked = []

    def condition(owner: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
        asked.append((owner, run, state))
        return False

    work = failing(condition)
    assert end_of(work, submitted=submitted).is_failed()
    assert states() == ["Running", "Failed"]
    ((owner, run, state),) = asked
    assert owner is work
    assert (run.run_count, run.retries, run.state.name) == (1, 2, "Failed")
    assert state.details.task_run_id == run.id
    with pytest.raises(ConnectionError, match="away"):
        state.result()


@pytest.mark.parametrize("submitted", [False, True])
def test_it_is_asked_after_each_attempt_that_has_another(submitted: bool) -> None:
    counts: list[int] = []

    def condition(_task: object, run: TaskRun, _state: object) -> bool:
        context = TaskRunContext.get()
        assert context is not None
        assert context.task_run_id == run.id
        counts.append(run.run_count)
        return True

    assert end_of(failing(condition), submitted=submitted).is_failed()
    assert states() == ["Running"] + ["AwaitingRetry", "Retrying"] * 2 + ["Failed"]
    assert counts == [1, 2]


@pytest.mark.parametrize("submitted", [False, True])
def test_a_condition_that_raises_is_logged_and_means_no(
    submitted: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def condition(_task: object, _run: object, _state: object) -> bool:
        raise LookupError("broken condition")

    end = end_of(failing(condition), submitted=submitted)
    with pytest.raises(ConnectionError, match="away"):
        end.result()
    assert states() == ["Running", "Failed"]
    assert "its retry_condition_fn raised an exception, so it is not tried again" in caplog.text
    assert "broken condition" in caplog.text


@pytest.mark.parametrize("submitted", [False, True])
def test_a_condition_of_a_sync_task_may_be_async(submitted: bool) -> None:
    async def condition(_task: object, _run: object, _state: object) -> bool:
        await asyncio.sleep(0)
        return False

    assert end_of(failing(condition), submitted=submitted).is_failed()
    assert states() == ["Running", "Failed"]


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("submitted", [False, True])
def test_an_async_task_has_conditions_of_both_kinds(submitted: bool, is_async: bool) -> None:
    def say_no(_task: object, _run: object, _state: object) -> bool:
        return False

    async def say_no_later(_task: object, _run: object, _state: object) -> bool:
        await asyncio.sleep(0)
        return False

    @task(retries=2, retry_condition_fn=say_no_later if is_async else say_no)
    async def work() -> None:
        raise ConnectionError("away")

    @flow
    async def working() -> bool:
        ended = await work.submit(return_state=True) if submitted else await work(return_state=True)
        return ended.is_failed()

    assert asyncio.run(working())
    assert states() == ["Running", "Failed"]


def test_a_run_that_completes_asks_nobody() -> None:
    def condition(_task: object, _run: object, _state: object) -> bool:
        raise AssertionError("asked")

    @task(retries=2, retry_condition_fn=condition)
    def work() -> int:
        return 1

    @flow
    def working() -> int:
        return work()

    assert working() == 1
