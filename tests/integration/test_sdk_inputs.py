"""What a task is given from upstream, and what the service knows of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel

from clearway import Failed, allow_failure, flow, get_client, quote, task, unmapped
from clearway.exceptions import FailedRun, UpstreamTaskError
from clearway.schemas import TaskRun
from integration.sdk_runs import task_runs

pytestmark = pytest.mark.usefixtures("service")


@dataclass
class Part:
    given: Any


class Model(BaseModel):
    given: Any


@task
def number(x: int = 1) -> int:
    return x


@task
def rows(count: int = 2) -> list[int]:
    return list(range(count))


@task
def fail() -> int:
    raise ValueError("bad")


@task
def take(*args: Any, **kwargs: Any) -> Any:
    return (args, kwargs) if kwargs else args


def made_by(run: TaskRun) -> dict[str, set[str]]:
    """Return the names of the upstream runs by parameter."""
    with get_client() as client:
        return {
            name: {client.read_task_run(run_id).name for run_id in ids}
            for name, ids in run.task_inputs.items()
        }


def test_futures_and_states_are_resolved_anywhere() -> None:
    @flow
    def everywhere() -> Any:
        one, state = number.submit(1), number(2, return_state=True)
        return take(
            {one: "key", "value": state},
            Part([one]),
            Model(given={"m": state}),
            {one},
            ((one,),),
            deep=[[one]],
        )

    assert everywhere() == (
        ({1: "key", "value": 2}, Part([1]), Model(given={"m": 2}), {1}, ((1,),)),
        {"deep": [[1]]},
    )
    assert made_by(task_runs("everywhere")["take-0"]) == {
        "args": {"number-0", "number-1"},
        "kwargs": {"number-0"},
    }


@pytest.mark.parametrize("submitted", [False, True])
def test_results_that_are_passed_on_are_inputs(submitted: bool) -> None:
    @flow
    def passing() -> Any:
        made = rows.submit(3).result() if submitted else rows(3)
        return take({"deep": [made]}), take.submit(made, wait_for=[made]).result(), take([9])

    assert passing() == (({"deep": [[0, 1, 2]]},), ([0, 1, 2],), ([9],))
    runs = task_runs("passing")
    assert made_by(runs["take-0"]) == {"args": {"rows-0"}}
    assert made_by(runs["take-1"]) == {"args": {"rows-0"}, "wait_for": {"rows-0"}}
    assert made_by(runs["take-2"]) == {}


def test_results_of_subflows_and_their_states_are_inputs() -> None:
    @flow
    def child() -> list[int]:
        return rows(1)

    @flow
    def parent() -> Any:
        return take(child()), take(child(return_state=True))

    assert parent() == (([0],), ([0],))
    runs = task_runs("parent")
    assert made_by(runs["take-0"]) == {"args": {"child-0"}}
    assert made_by(runs["take-1"]) == {"args": {"child-1"}}


def test_results_of_cached_runs_are_inputs() -> None:
    @task(cache_key_fn=lambda context, _: f"{context.flow_run_id}")
    def load() -> list[int]:
        return [1]

    @flow
    def cached() -> Any:
        load()
        return take(load()), take(load.submit().result())

    assert cached() == (([1],), ([1],))
    runs = task_runs("cached")
    assert made_by(runs["take-0"]) == {"args": {"load-1"}}
    assert made_by(runs["take-1"]) == {"args": {"load-2"}}


async def test_results_of_async_tasks_are_inputs() -> None:
    @task
    async def load() -> list[int]:
        return [1]

    @task
    async def use(given: list[int]) -> int:
        return len(given)

    @flow
    async def passing() -> int:
        return await use(await load())

    assert await passing() == 1
    assert made_by(task_runs("passing")["use-0"]) == {"given": {"load-0"}}


def test_what_is_mapped_over_is_an_input_of_each_run() -> None:
    @flow
    def mapping() -> Any:
        state = rows(2, return_state=True)
        for given in (rows.submit(2), state, rows(2), number.map([1, 2])):
            yield [future.result() for future in take.map(given)]
        yield take.map([1], unmapped(state))[0].result()

    *mapped, given_whole = mapping()
    assert mapped == [[(0,), (1,)], [(0,), (1,)], [(0,), (1,)], [(1,), (2,)]]
    assert given_whole == (1, [0, 1])
    runs = task_runs("mapping")
    assert [made_by(runs[f"take-{index}"]) for index in range(9)] == [
        {"args": {"rows-1"}},
        {"args": {"rows-1"}},
        {"args": {"rows-0"}},
        {"args": {"rows-0"}},
        {"args": {"rows-2"}},
        {"args": {"rows-2"}},
        {"args": {"number-0"}},
        {"args": {"number-1"}},
        {"args": {"rows-0"}},
    ]


@pytest.mark.parametrize("submitted", [False, True])
def test_a_task_may_run_though_its_upstream_failed(submitted: bool) -> None:
    @flow
    def allowing() -> Any:
        bad, good = fail.submit(), number.submit(5)
        call = take.submit if submitted else take
        given = call(allow_failure(bad), [allow_failure([bad, good])], wait_for=[allow_failure(bad)])
        return given.result() if submitted else given

    error, (in_list,) = allowing()
    assert isinstance(error, ValueError)
    assert in_list == [error, 5]
    assert made_by(task_runs("allowing")["take-0"]) == {
        "args": {"fail-0", "number-0"},
        "wait_for": {"fail-0"},
    }


def test_a_failed_state_without_an_exception_is_given_as_one_of_ours() -> None:
    @task
    def refuse() -> Any:
        return Failed(message="not today")

    @flow
    def allowing() -> Any:
        return take(allow_failure(refuse(return_state=True)))

    (error,) = allowing()
    assert isinstance(error, FailedRun)
    assert str(error) == "not today"


def test_only_failed_runs_are_allowed() -> None:
    @flow
    def allowing() -> str:
        never = take.submit(fail.submit())
        with pytest.raises(UpstreamTaskError, match="'take-0' did not complete: it is NotReady"):
            take(allow_failure(never))
        with pytest.raises(UpstreamTaskError, match="'fail-1' did not complete"):
            take([allow_failure(1), fail.submit()])
        return "done"

    assert allowing() == "done"


def test_failed_runs_are_mapped_over_where_they_are_allowed() -> None:
    @flow
    def mapping() -> Any:
        futures = [number.submit(1), fail.submit()]
        return [
            future.result() for future in take.map(allow_failure(futures), unmapped(allow_failure(futures)))
        ]

    (one, [_, error]), (same, _) = mapping()
    assert one == 1
    assert same is error
    assert isinstance(error, ValueError)


def test_a_subflow_may_be_given_a_failure() -> None:
    @flow
    def child(given: Any) -> str:
        return type(given).__name__

    @flow
    def parent() -> str:
        return child(allow_failure(fail.submit()))

    assert parent() == "ValueError"


def test_what_is_quoted_is_passed_on_as_it_is() -> None:
    @flow
    def quoting() -> Any:
        table = [number.submit(1)]
        (given,) = take(quote(table))
        (mapped,) = take.map(quote([table]))[0].result()
        return given is table, mapped is table

    assert quoting() == (True, True)
    assert made_by(task_runs("quoting")["take-0"]) == {}


@pytest.mark.parametrize("make", ["list", "tuple", "generator", "future", "state", "futures"])
def test_map_goes_over_what_can_be_gone_over(make: str) -> None:
    @flow
    def mapping() -> list[Any]:
        given: dict[str, Any] = {
            "list": lambda: [0, 1],
            "tuple": lambda: (0, 1),
            "generator": lambda: (number for number in range(2)),
            "future": lambda: rows.submit(2),
            "state": lambda: rows(2, return_state=True),
            "futures": lambda: number.map([0, 1]),
        }
        return [future.result() for future in take.map(x=given[make](), y=[2, 3])]

    assert mapping() == [((), {"x": 0, "y": 2}), ((), {"x": 1, "y": 3})]


def test_wait_for_takes_one_alone_in_map_too() -> None:
    @flow
    def waiting() -> Any:
        return [future.result() for future in number.map([1, 2], wait_for=number.submit(3))]  # type: ignore[arg-type]

    assert waiting() == [1, 2]
    assert made_by(task_runs("waiting")["number-2"]) == {"wait_for": {"number-0"}}
