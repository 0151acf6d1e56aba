"""Running flows and subflows, and what they return."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from clearway import Completed, Failed, FlowRunContext, flow, get_client, get_run_logger, tags, task
from clearway.exceptions import FailedRun, MissingContext, NestedTask, UpstreamTaskError
from clearway.schemas import Log
from integration.sdk_runs import flow_history, history, last_flow_run, task_runs

pytestmark = pytest.mark.usefixtures("service")


@task
def add(x: int, y: int = 1) -> int:
    return x + y


@task
def fail() -> int:
    raise ValueError("bad")


def logs_of(flow_name: str) -> list[Log]:
    with get_client() as client:
        return client.read_logs(flow_run_id=last_flow_run(flow_name).id)


def test_a_flow_run_is_recorded_from_its_beginning_to_its_end() -> None:
    @flow(name="sums", version="7", retries=2, retry_delay_seconds=1.5)
    def recorded(x: int, *, y: Any = None) -> int:
        assert y == {2}
        return add(x)

    with tags("nightly"):
        assert recorded(1, y={2}) == 2
    run = last_flow_run("sums")
    assert flow_history(run.id) == ["Pending", "Running", "Completed"]
    assert json.loads(run.parameters_json) == {"x": 1, "y": "{2}"}
    assert (run.flow_version, run.tags, run.retries) == ("7", ("nightly",), 2)
    assert [delay.total_seconds() for delay in run.retry_delays] == [1.5]
    assert run.name.count("-") == 1
    assert run.run_count == 1
    assert run.state.result() == 2
    assert task_runs("sums")["add-0"].tags == ("nightly",)


def test_a_flow_that_raises_is_failed_and_raises_the_same_exception() -> None:
    error = ValueError("bad")

    @flow
    def failing() -> None:
        raise error

    with pytest.raises(ValueError, match="bad") as caught:
        failing()
    assert caught.value is error
    run = last_flow_run("failing")
    assert run.state.name == "Failed"
    assert run.state.message == "Flow run encountered an exception: ValueError: bad"
    state = failing(return_state=True)
    assert state.is_failed()
    assert state.result(raise_on_failure=False) is error


def test_a_flow_that_returns_nothing_is_as_its_tasks_were() -> None:
    @flow
    def good() -> None:
        add(1)
        add.submit(2)

    @flow
    def bad() -> None:
        add(1)
        fail.submit()

    @flow
    def caught() -> None:
        with pytest.raises(ValueError, match="bad"):
            fail()

    assert good() is None
    assert last_flow_run("good").state.is_completed()
    for failing in (bad, caught):
        with pytest.raises(ValueError, match="bad"):
            failing()
        assert last_flow_run(failing.name).state.is_failed()


def test_a_flow_that_returns_data_is_completed_whatever_its_tasks_were() -> None:
    @flow
    def data() -> int:
        fail.submit()
        return 5

    assert data() == 5
    assert last_flow_run("data").state.is_completed()


def test_returned_futures_and_states_decide_how_a_flow_ends() -> None:
    @flow
    def returning(*what: str) -> Any:
        made: dict[str, Callable[[], Any]] = {
            "good": lambda: add.submit(1),
            "bad": fail.submit,
            "state": lambda: add(1, return_state=True),
            "bad state": lambda: fail(return_state=True),
        }
        futures = [made[one]() for one in what]
        return futures if len(futures) > 1 else futures[0]

    (first, second) = returning("good", "state")
    assert (first.result(), second.result()) == (2, 2)
    assert returning("good").result() == 2
    for what in (["good", "bad"], ["bad"], ["bad state"], ["good", "bad state"]):
        state = returning(*what, return_state=True)
        assert state.is_failed()
        with pytest.raises(ValueError, match="bad"):
            state.result()


def test_a_flow_may_return_the_state_that_it_ends_in() -> None:
    @flow
    def by_hand(*, ok: bool) -> Any:
        return Completed(5, message="fine") if ok else Failed(message="not today")

    assert by_hand(ok=True) == 5
    assert last_flow_run("by_hand").state.message == "fine"
    with pytest.raises(FailedRun, match="not today"):
        by_hand(ok=False)


def test_a_subflow_is_tracked_by_a_task_run_of_its_parent() -> None:
    @flow
    def child(x: int) -> int:
        return add(x)

    @flow
    def parent() -> list[int]:
        return [child(1), child(2)]

    with tags("both"):
        assert parent() == [2, 3]
    runs = task_runs("parent")
    assert list(runs) == ["child-0", "child-1"]
    subflow = last_flow_run("child")
    tracking = runs["child-1"]
    assert subflow.parent_task_run_id == tracking.id
    assert (tracking.tracks_subflow, tracking.state.name, tracking.tags) == (True, "Completed", ("both",))
    assert tracking.state.details.child_flow_run_id == subflow.id
    assert history(tracking.id) == flow_history(subflow.id)


def test_a_tracking_run_follows_the_retries_of_its_subflow() -> None:
    calls: list[int] = []

    @flow(retries=1)
    def child() -> int:
        calls.append(1)
        if len(calls) == 1:
            raise ConnectionError
        return 5

    @flow
    def parent() -> int:
        return child()

    assert parent() == 5
    names = ["Pending", "Running", "AwaitingRetry", "Retrying", "Completed"]
    assert flow_history(last_flow_run("child").id) == names
    assert history(task_runs("parent")["child-0"].id) == names


def test_a_subflow_takes_futures_and_waits_for_them() -> None:
    @flow
    def child(xs: list[int]) -> int:
        return sum(xs)

    @flow
    def parent() -> int:
        return child([add.submit(1), add.submit(2)], wait_for=[add.submit(3)])

    assert parent() == 5
    runs = task_runs("parent")
    assert runs["child-0"].task_inputs == {
        "xs": (runs["add-0"].id, runs["add-1"].id),
        "wait_for": (runs["add-2"].id,),
    }


def test_a_subflow_whose_upstream_failed_is_not_started() -> None:
    @flow
    def child(x: int) -> int:
        return x

    @flow
    def parent() -> str:
        with pytest.raises(UpstreamTaskError, match=r"flow 'child' was not started: .*'fail-0'"):
            child(fail.submit())  # type: ignore[call-overload]
        return "caught"

    assert parent() == "caught"
    assert list(task_runs("parent")) == ["fail-0"]


def test_a_failed_subflow_fails_a_parent_that_returns_nothing() -> None:
    @flow
    def child() -> None:
        fail()

    @flow
    def parent() -> None:
        child(return_state=True)

    with pytest.raises(ValueError, match="bad"):
        parent()
    assert task_runs("parent")["child-0"].state.name == "Failed"


def test_a_flow_is_not_called_from_a_task() -> None:
    @flow
    def child() -> None: ...

    @task
    def wrong() -> None:
        child()

    @flow
    def parent() -> None:
        wrong()

    with pytest.raises(NestedTask, match="flow 'child' was called from within a task"):
        parent()


def test_tasks_of_a_flow_end_before_the_flow_does_even_where_it_raises() -> None:
    @flow
    def hasty() -> None:
        add.map(range(50))
        raise ValueError("hasty")

    with pytest.raises(ValueError, match="hasty"):
        hasty()
    assert {run.state.name for run in task_runs("hasty").values()} == {"Completed"}
    assert len(task_runs("hasty")) == 50


def test_the_context_of_a_flow_run_tells_which_it_is() -> None:
    @flow
    def asking(x: int) -> FlowRunContext | None:
        assert x == 3
        return FlowRunContext.get()

    context = asking(3)
    assert context is not None
    run = last_flow_run("asking")
    assert (context.flow_run_id, context.flow_run_name) == (run.id, run.name)
    assert (context.flow, context.parameters, context.run_count) == (asking, {"x": 3}, 1)
    assert FlowRunContext.get() is None


def test_what_runs_log_is_kept_beside_them() -> None:
    @task
    def speak(word: str) -> None:
        get_run_logger().warning("the word is %s", word)

    @flow
    def speaking() -> None:
        get_run_logger().info("in the flow")
        speak("one")
        speak.submit("two")

    speaking()
    logs = {log.message: log for log in logs_of("speaking")}
    runs = task_runs("speaking")
    assert logs["in the flow"].task_run_id == ""
    assert logs["the word is one"].task_run_id == runs["speak-0"].id
    assert logs["the word is two"].task_run_id == runs["speak-1"].id
    assert logs["the word is two"].level == logging.WARNING
    with pytest.raises(MissingContext, match="outside a flow or task run"):
        get_run_logger()


def test_a_flow_run_after_another_begins_anew() -> None:
    @flow
    def again() -> int:
        return add(1)

    again()
    first = last_flow_run("again").id
    again()
    assert last_flow_run("again").id != first
    assert list(task_runs("again")) == ["add-0"]


def test_the_truth_value_of_a_submitted_run_is_warned_of() -> None:
    @task
    def is_ready() -> bool:
        return False

    @flow
    def asking() -> str:
        if is_ready.submit():
            return "always taken"
        return "never taken"

    with pytest.warns(UserWarning, match="the future of the task run 'is_ready-0' was used as a truth value"):
        assert asking() == "always taken"


async def test_the_truth_value_of_a_submitted_run_of_an_async_task_is_warned_of() -> None:
    @task
    async def is_ready() -> bool:
        return False

    @flow
    async def asking() -> bool:
        return not await is_ready.submit()

    with pytest.warns(UserWarning, match="'is_ready-0' was used as a truth value"):
        assert not await asking()
