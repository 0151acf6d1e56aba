"""What flows are called with, and what it becomes by their annotations."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
from pydantic import BaseModel

from clearway import FlowRunContext, flow, task
from clearway.exceptions import ParameterTypeError
from integration.sdk_runs import flow_history, last_flow_run, task_runs

pytestmark = pytest.mark.usefixtures("service")


@dataclass
class Window:
    first: date
    days: int = 1


class Source(BaseModel):
    path: str
    window: Window


@task
def number() -> str:
    return "5"


def test_arguments_become_what_the_annotations_say() -> None:
    @flow
    def load(source: Source, *sizes: int, limit: float | None = None) -> Any:
        context = FlowRunContext.get()
        assert context is not None
        return source, sizes, limit, dict(context.parameters)

    given: Any = {"path": "a", "window": {"first": "2026-01-02"}}
    source, sizes, limit, parameters = load(given, "1", 2, limit="2.5")
    assert source == Source(path="a", window=Window(date(2026, 1, 2)))
    assert (sizes, limit) == ((1, 2), 2.5)
    assert parameters == {"source": source, "sizes": sizes, "limit": limit}
    assert json.loads(last_flow_run("load").parameters_json)["limit"] == 2.5


def test_a_wrong_argument_is_an_error_before_anything_runs() -> None:
    ran: list[Any] = []

    @flow(retries=3)
    def load(day: int) -> None:
        ran.append(day)

    with pytest.raises(ParameterTypeError, match=r"the flow 'load' .*\n  day='monday': .*integer"):
        load("monday")  # type: ignore[arg-type]
    run = last_flow_run("load")
    assert flow_history(run.id) == ["Pending", "Failed"]
    assert run.state.message.startswith("Flow run encountered an exception in validating its parameters")
    assert "monday" in run.state.message
    state = load("monday", return_state=True)
    assert state.is_failed()
    assert isinstance(state.result(raise_on_failure=False), ParameterTypeError)
    assert ran == []


def test_a_flow_that_does_not_validate_takes_what_it_is_given() -> None:
    @flow(validate_parameters=False)
    def load(day: int) -> Any:
        return day

    assert load("monday") == "monday"  # type: ignore[arg-type]


def test_the_results_of_upstream_runs_are_validated() -> None:
    @flow
    def child(x: int, ys: list[int]) -> Any:
        return x, ys

    @flow
    def parent() -> Any:
        return child(number.submit(), [number.submit(), number(return_state=True)])

    assert parent() == (5, [5, 5])
    assert set(task_runs("parent")["child-0"].task_inputs) == {"x", "ys"}


def test_a_wrong_subflow_fails_a_parent_that_returns_nothing() -> None:
    @flow
    def child(x: int) -> int:
        return x

    @flow
    def parent() -> None:
        with pytest.raises(ParameterTypeError):
            child("five")  # type: ignore[arg-type]

    with pytest.raises(ParameterTypeError, match="five"):
        parent()
    assert task_runs("parent")["child-0"].state.name == "Failed"


async def test_an_async_flow_validates_too() -> None:
    @flow
    async def load(day: int) -> int:
        return day

    assert await load("3") == 3  # type: ignore[arg-type]
    with pytest.raises(ParameterTypeError, match="day='x'"):
        await load("x")  # type: ignore[arg-type]


def test_a_retry_is_given_the_same_parameters() -> None:
    seen: list[Any] = []

    @flow(retries=1)
    def load(days: list[int]) -> int:
        seen.append(days)
        if len(seen) == 1:
            raise ConnectionError
        return sum(days)

    assert load(["1", "2"]) == 3  # type: ignore[list-item]
    assert seen == [[1, 2], [1, 2]]
