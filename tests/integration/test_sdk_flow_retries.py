"""What a flow's retry runs again, and what it is given instead of running."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from clearway import Failed, State, TaskFuture, allow_failure, flow, get_client, task, unmapped
from integration.sdk_runs import last_flow_run, task_runs

pytestmark = pytest.mark.usefixtures("service")


class Fails:
    """Raises at the first call with each value that it is told of."""

    def __init__(self, *values: Any) -> None:
        self._left = set(values)

    def __call__(self, value: Any) -> Any:
        if value in self._left:
            self._left.remove(value)
            raise ConnectionError(f"at {value}")
        return value


def test_mapped_runs_that_completed_are_not_run_again() -> None:
    ran: Counter[int] = Counter()
    fails = Fails(2, 4)

    @task
    def work(x: int) -> int:
        ran[x] += 1
        return int(fails(x))

    @task
    def double(x: int) -> int:
        ran[-x] += 1
        return 2 * x

    @flow(retries=1)
    def mapping() -> list[int]:
        return [future.result() for future in double.map(work.map(range(1, 6)))]

    assert mapping() == [2, 4, 6, 8, 10]
    assert ran == {1: 1, 2: 2, 3: 1, 4: 2, 5: 1, -1: 1, -2: 1, -3: 1, -4: 1, -5: 1}
    assert last_flow_run("mapping").run_count == 2


def test_subflows_that_failed_run_again_with_the_runs_that_did_not_complete() -> None:
    ran: Counter[str] = Counter()
    fails = Fails("inner")

    @task
    def outer_work() -> str:
        ran["outer"] += 1
        return "outer"

    @task
    def inner_work() -> str:
        ran["inner"] += 1
        return str(fails("inner"))

    @flow
    def child() -> str:
        ran["child"] += 1
        return inner_work()

    @flow(retries=1)
    def parent() -> list[str]:
        return [outer_work(), child()]

    assert parent() == ["outer", "inner"]
    assert ran == {"outer": 1, "child": 2, "inner": 2}
    states = {name: run.state.name for name, run in task_runs("parent").items()}
    assert states == {"outer_work-0": "Completed", "child-0": "Failed", "child-0-2": "Completed"}


@pytest.mark.parametrize("way", ["call", "submit", "map", "state", "subflow"])
def test_results_that_are_in_memory_only_are_there_in_the_retry(way: str) -> None:
    made: list[Any] = []
    fails = Fails("once")

    def make() -> Any:
        lock = threading.Lock()
        made.append(lock)
        return lock

    work = task(make, name="work")
    child = flow(make, name="child")

    @task
    def use(lock: Any) -> Any:
        return lock is made[0]

    @flow(retries=1)
    def retried() -> Any:
        ways: dict[str, Callable[[], Any]] = {
            "call": work,
            "submit": work.submit,
            "map": lambda: mapped.map([1])[0],
            "state": lambda: work(return_state=True),
            "subflow": child,
        }
        given = ways[way]()
        used = use(given)
        fails("once")
        return used, given.result() if isinstance(given, (TaskFuture, State)) else given

    mapped = task(lambda _: make(), name="mapped")
    used, given = retried()
    assert used
    assert given is made[0]
    assert len(made) == 1


def test_results_that_were_written_are_read_in_the_retry() -> None:
    ran: list[int] = []
    fails = Fails("once")

    @task
    def rows() -> list[int]:
        ran.append(1)
        return list(range(5_000))

    @flow(retries=1)
    def retried() -> int:
        given = rows()
        fails("once")
        return sum(given)

    assert retried() == sum(range(5_000))
    assert len(ran) == 1


def test_what_was_given_a_failure_is_kept_as_it_was() -> None:
    ran: Counter[str] = Counter()
    fails = Fails("flow")

    @task
    def bad() -> None:
        ran["bad"] += 1
        raise ValueError("bad")

    @task
    def clean(given: Any) -> str:
        ran["clean"] += 1
        return type(given).__name__

    @flow(retries=1)
    def retried() -> str:
        cleaned = clean.submit(allow_failure(bad.submit())).result()
        fails("flow")
        return cleaned

    assert retried() == "ValueError"
    assert ran == {"bad": 2, "clean": 1}


def test_a_flow_that_returns_failed_states_is_retried_too() -> None:
    fails = Fails(1)

    @task
    def work(x: int, _: Any) -> Any:
        return fails(x)

    @flow(retries=2)
    def returning() -> Any:
        return work.map([0, 1, 2], unmapped("same"))

    assert [state.result() for state in returning()] == [0, 1, 2]
    assert last_flow_run("returning").run_count == 2


def test_a_failed_state_by_hand_is_retried_too() -> None:
    calls: list[int] = []

    @flow(retries=1)
    def returning() -> Any:
        calls.append(1)
        return Failed(message="not yet") if len(calls) == 1 else 5

    assert returning() == 5


async def test_gathered_runs_that_completed_are_not_run_again() -> None:
    ran: Counter[int] = Counter()
    fails = Fails(2)

    @task
    async def work(x: int) -> int:
        ran[x] += 1
        return int(fails(x))

    @flow(retries=1)
    async def gathering() -> list[int]:
        return await asyncio.gather(*(work(x) for x in range(4)))

    assert await gathering() == [0, 1, 2, 3]
    assert ran[2] == 2
    assert {run.state.name for run in task_runs("gathering").values()} == {"Completed", "Failed"}


def test_each_retry_of_a_flow_has_its_own_delay_spread_at_random() -> None:
    attempts = []

    @flow(retries=2, retry_delay_seconds=[0.01, 0.02], retry_jitter_factor=0.5)
    def flaky() -> int:
        attempts.append(1)
        if len(attempts) < 3:
            raise ConnectionError("not yet")
        return len(attempts)

    assert flaky() == 3
    run = last_flow_run("flaky")
    assert [delay.total_seconds() for delay in run.retry_delays] == [0.01, 0.02]
    assert (run.retries, run.retry_jitter_factor, run.run_count) == (2, 0.5, 3)
    with get_client() as client:
        states = client.read_flow_run_states(run.id)
    planned = [
        (state.details.scheduled_time - state.timestamp).total_seconds()
        for state in states
        if state.details.scheduled_time is not None
    ]
    assert len(planned) == 2
    assert 0 < planned[0] <= 0.015
    assert 0 < planned[1] <= 0.03
