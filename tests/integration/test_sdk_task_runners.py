"""What a flow sees of its tasks is the same with every task runner.

What the tasks tell, they tell by what they return or write to files: their code may be in another process.
"""

from __future__ import annotations

import itertools
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from clearway import (
    ConcurrentTaskRunner,
    ProcessPoolTaskRunner,
    SequentialTaskRunner,
    TaskRunner,
    ThreadPoolTaskRunner,
    flow,
    get_client,
    get_run_logger,
    tags,
    task,
    task_input_hash,
)
from clearway.context import TaskRunContext
from clearway.exceptions import NestedTask, UpstreamTaskError
from clearway.logging import flush_logs
from clearway.states import Failed, State
from integration.sdk_runs import history, last_flow_run, set_limit, slots, task_runs

pytestmark = pytest.mark.usefixtures("service")

_numbers = itertools.count()


@pytest.fixture(
    params=[
        ConcurrentTaskRunner(),
        ThreadPoolTaskRunner(max_workers=2),
        SequentialTaskRunner(),
        ProcessPoolTaskRunner(max_workers=2),
    ],
    ids=repr,
)
def runner(request: pytest.FixtureRequest) -> TaskRunner:
    """Return each task runner in turn."""
    chosen: TaskRunner = request.param
    return chosen


@dataclass
class Order:
    """Something with numbers in it, for arguments that hold futures."""

    numbers: list[Any]
    by_name: dict[str, Any]


class OutOfStock(Exception):  # noqa: N818 - an exception of a user's
    """Has an attribute of its own, which must arrive."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


@task
def double(number: int) -> int:
    """Return twice the number."""
    return 2 * number


@task
async def double_async(number: int) -> int:
    """Return twice the number, later."""
    return 2 * number


@task
def fail(what: str) -> None:
    """Raise an exception of the user's own."""
    raise OutOfStock(what)


def test_a_result_comes_back(runner: TaskRunner) -> None:
    @flow(task_runner=runner)
    def numbers() -> list[int]:
        future = double.submit(21)
        return [future.result(), double.submit(number=4).result(), double(5)]

    assert numbers() == [42, 8, 10]


def test_any_object_comes_back(runner: TaskRunner) -> None:
    @task
    def make(number: int) -> Order:
        return Order([number], {"it": number})

    @flow(task_runner=runner)
    def orders() -> Order:
        return make.submit(3).result()

    assert orders() == Order([3], {"it": 3})


def test_map_keeps_the_order(runner: TaskRunner) -> None:
    @flow(task_runner=runner)
    def numbers() -> list[int]:
        return [future.result() for future in double.map(range(25))]

    assert numbers() == [2 * number for number in range(25)]
    assert [run.state.name for run in task_runs("numbers").values()] == ["Completed"] * 25


def test_futures_anywhere_in_arguments_are_resolved(runner: TaskRunner) -> None:
    @task
    def add(order: Order, *more: Any) -> int:
        return sum(order.numbers) + sum(order.by_name.values()) + sum(sum(some) for some in more)

    @flow(task_runner=runner)
    def adding() -> int:
        one, two, three = double.submit(1), double.submit(2), double_async.submit(3)
        return add.submit(Order([one, 1], {"two": two}), (three, 1), [one]).result()

    assert adding() == 2 + 1 + 4 + 6 + 1 + 2


def test_an_exception_is_raised_as_it_was(runner: TaskRunner) -> None:
    @flow(task_runner=runner)
    def failing() -> str:
        future = fail.submit("apples")
        with pytest.raises(OutOfStock, match="apples") as caught:
            future.result()
        assert future.get_state().is_failed()
        return caught.value.what

    assert failing() == "apples"
    state = task_runs("failing")["fail-0"].state
    assert (state.name, state.message) == ("Failed", "Task run encountered an exception: OutOfStock: apples")


def test_a_failed_run_is_tried_again(runner: TaskRunner, tmp_path: Path) -> None:
    attempts = tmp_path / "attempts"

    @task(retries=2)
    def strive() -> int:
        context = TaskRunContext.get()
        assert context is not None
        with attempts.open("a") as file:
            file.write(f"{context.run_count} ")
        if context.run_count < 3:
            raise OutOfStock("patience")
        return context.run_count

    @flow(task_runner=runner)
    def striving() -> int:
        return strive.submit().result()

    assert striving() == 3
    assert attempts.read_text() == "1 2 3 "
    names = history(task_runs("striving")["strive-0"].id)
    assert names == ["Running", "AwaitingRetry", "Retrying", "AwaitingRetry", "Retrying", "Completed"]


def test_a_state_that_is_returned_is_the_runs_own(runner: TaskRunner) -> None:
    @task
    def decline() -> State[Any]:
        return Failed(message="not today")

    @flow(task_runner=runner)
    def declining() -> str:
        return decline.submit(return_state=True).message

    assert declining() == "not today"


def test_a_cached_result_is_not_computed_again(runner: TaskRunner, tmp_path: Path) -> None:
    computed = tmp_path / "computed"
    salt = next(_numbers)

    @task(cache_key_fn=task_input_hash, name=f"compute-{runner!r}-{salt}")
    def compute(number: int) -> int:
        with computed.open("a") as file:
            file.write(f"{number} ")
        return number + 1

    @flow(task_runner=runner)
    def computing() -> list[int]:
        return [compute.submit(1).result(), compute.submit(1).result(), compute.submit(2).result()]

    assert computing() == [2, 2, 3]
    assert computed.read_text() == "1 2 "
    assert sorted(run.state.name for run in task_runs("computing").values()) == [
        "Cached",
        "Completed",
        "Completed",
    ]


def test_wait_for_is_waited_for_and_a_failed_upstream_keeps_a_run_from_starting(runner: TaskRunner) -> None:
    @flow(task_runner=runner)
    def waiting() -> str:
        good, bad = double.submit(1), fail.submit("pears")
        assert double.submit(2, wait_for=[good]).result() == 4
        never = double.submit(3, wait_for=[bad])
        with pytest.raises(UpstreamTaskError, match="OutOfStock"):
            never.result()
        return never.get_state().name

    assert waiting() == "NotReady"


def test_a_limit_holds_and_everybody_comes_to_their_turn(runner: TaskRunner, tmp_path: Path) -> None:
    tag = f"of-a-runner-{next(_numbers)}"
    set_limit(tag, 1)
    inside = tmp_path / "inside"

    @task(tags=[tag])
    def alone(number: int) -> int:
        inside.mkdir()  # fails where another is inside
        inside.rmdir()
        return number

    @flow(task_runner=runner)
    def taking_turns() -> list[int]:
        return [future.result() for future in alone.map(range(12))]

    assert taking_turns() == list(range(12))
    assert slots(tag) == ()


def test_async_tasks_run_in_sync_flows(runner: TaskRunner) -> None:
    @flow(task_runner=runner)
    def mixing() -> list[int]:
        futures = double_async.map([1, 2, 3])
        return [future.result() for future in futures] + [double_async(4)]  # type: ignore[list-item]

    assert mixing() == [2, 4, 6, 8]


async def test_sync_and_async_tasks_run_in_async_flows(runner: TaskRunner) -> None:
    @flow(task_runner=runner)
    async def mixing() -> list[int]:
        one = double.submit(1)
        two = await double_async.submit(2)
        more = await double_async.map([3, 4])
        assert await double_async(5) == 10
        return [one.result(), await two.result(), *[await future.result() for future in more]]

    assert await mixing() == [2, 4, 6, 8]


async def test_async_failures_are_raised(runner: TaskRunner) -> None:
    @task
    async def fall(what: str) -> None:
        raise OutOfStock(what)

    @flow(task_runner=runner)
    async def falling() -> None:
        future = await fall.submit("plums")
        with pytest.raises(OutOfStock, match="plums"):
            await future.result()
        return (await fall.submit("plums", return_state=True)).name  # type: ignore[return-value]

    assert await falling() == "Failed"  # type: ignore[comparison-overlap]


def test_the_code_knows_its_run_and_its_tags(runner: TaskRunner) -> None:
    @task(tags=["own"], retries=1)
    def look() -> tuple[str, str, str, str, int]:
        context = TaskRunContext.get()
        assert context is not None
        return (
            context.task_run_id,
            context.flow_run_id,
            context.task_run_name,
            context.task.name,
            context.task.retries,
        )

    @flow(task_runner=runner)
    def looking() -> tuple[str, str, str, str, int]:
        with tags("given"):
            return look.submit().result()

    seen = looking()
    run = task_runs("looking")["look-0"]
    assert seen == (run.id, last_flow_run("looking").id, "look-0", "look", 1)
    assert set(run.tags) == {"own", "given"}


def test_what_the_code_logs_is_kept_with_the_run(runner: TaskRunner) -> None:
    @task
    def speak(number: int) -> None:
        get_run_logger().warning("line %d of %s", number, {"some": "dict"})

    @flow(task_runner=runner)
    def speaking() -> None:
        for future in speak.map(range(5)):
            future.result()

    speaking()
    flush_logs().result()
    runs = task_runs("speaking")
    with get_client() as client:
        lines = [
            line for line in client.read_logs(flow_run_id=last_flow_run("speaking").id) if line.task_run_id
        ]
    assert {(line.task_run_id, line.message, line.level) for line in lines} == {
        (runs[f"speak-{number}"].id, f"line {number} of {{'some': 'dict'}}", logging.WARNING)
        for number in range(5)
    }


def test_a_task_within_a_task_is_refused(runner: TaskRunner) -> None:
    @task
    def outer() -> int:
        return double.submit(1).result()

    @flow(task_runner=runner)
    def nesting() -> None:
        outer.submit().result()

    with pytest.raises(NestedTask, match="fn"):
        nesting()


def test_a_large_argument_and_result_arrive(runner: TaskRunner) -> None:
    @task
    def reverse(text: bytes) -> bytes:
        return text[::-1]

    @flow(task_runner=runner)
    def reversing() -> bool:
        text = bytes(range(256)) * 20_000
        return reverse.submit(text).result() == text[::-1]

    assert reversing() is True


def test_one_runner_serves_many_runs_and_subflows_have_their_own(runner: TaskRunner) -> None:
    @flow
    def inner() -> int:
        return double.submit(1).result()

    @flow(task_runner=runner)
    def outer() -> list[int]:
        return [double.submit(4).result(), inner(), double.submit(5).result()]

    assert [outer(), outer()] == [[8, 2, 10], [8, 2, 10]]


def test_a_flow_that_is_tried_again_goes_on_with_its_runner(runner: TaskRunner, tmp_path: Path) -> None:
    tried = tmp_path / "tried"

    @flow(task_runner=runner, retries=1)
    def insisting() -> int:
        result = double.submit(3).result()
        if not tried.exists():
            tried.touch()
            raise OutOfStock("luck")
        return result + double.submit(4).result()

    assert insisting() == 14
