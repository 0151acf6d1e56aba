"""Mapping tasks."""

from __future__ import annotations

from typing import Any

import pytest

from clearway import flow, task, unmapped
from clearway.exceptions import MappingLengthMismatch, NothingToMap, UpstreamTaskError
from integration.sdk_runs import last_flow_run, task_runs

pytestmark = pytest.mark.usefixtures("service")


@task
def double(x: int) -> int:
    return 2 * x


@task
def add(x: Any, y: Any = 1) -> Any:
    return x + y


def test_a_thousand_items_are_a_thousand_runs() -> None:
    @flow
    def many() -> int:
        return sum(future.result() for future in double.map(range(1_000)))

    assert many() == 999_000
    runs = task_runs("many")
    assert len(runs) == 1_000
    assert {run.state.name for run in runs.values()} == {"Completed"}
    assert runs["double-999"].dynamic_key == "999"


def test_maps_of_maps_of_futures() -> None:
    @flow
    def layers() -> list[int]:
        numbers = range(20)
        for _ in range(3):
            numbers = double.map(numbers)  # type: ignore[assignment]
        return [future.result() for future in add.map(numbers, numbers)]

    assert layers() == [16 * number for number in range(20)]


def test_the_result_of_a_future_is_mapped_over() -> None:
    @task
    def numbers() -> list[int]:
        return [1, 2, 3]

    @flow
    def late() -> list[int]:
        return [future.result() for future in add.map(numbers.submit(), y=unmapped([1]).value[0])]

    assert late() == [2, 3, 4]


def test_unmapped_futures_are_given_to_each_run() -> None:
    @flow
    def shared() -> list[int]:
        one = double.submit(5)
        return [future.result() for future in add.map([1, 2], unmapped(one))]

    assert shared() == [11, 12]
    runs = task_runs("shared")
    assert runs["add-1"].task_inputs == {"y": (runs["double-0"].id,)}


def test_one_failed_item_leaves_the_others_alone() -> None:
    @task
    def invert(x: int) -> float:
        return 1 / x

    @flow
    def inverted() -> list[Any]:
        futures = invert.map([1, 0, 2])
        after = add.map(futures)
        assert [state.name for state in add.map(futures, return_state=True)] == [
            "Completed",
            "NotReady",
            "Completed",
        ]
        with pytest.raises(UpstreamTaskError):
            after[1].result()
        return [future.result(raise_on_failure=False) for future in futures]

    first, second, third = inverted()
    assert (first, third) == (1, 0.5)
    assert isinstance(second, ZeroDivisionError)


def test_wait_for_holds_for_each_run() -> None:
    @flow
    def held() -> None:
        first = double.submit(1)
        add.map([1, 2], wait_for=[first])

    held()
    runs = task_runs("held")
    assert runs["add-0"].task_inputs == runs["add-1"].task_inputs == {"wait_for": (runs["double-0"].id,)}


def test_nothing_and_too_much_to_map_over_start_nothing() -> None:
    @flow
    def wrong() -> list[Any]:
        with pytest.raises(NothingToMap):
            add.map(1)
        with pytest.raises(MappingLengthMismatch):
            add.map([1, 2], [1, 2, 3])
        return list(add.map([]))

    assert wrong() == []
    assert task_runs("wrong") == {}
    assert last_flow_run("wrong").state.is_completed()
