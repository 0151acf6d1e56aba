"""Retries of tasks and flows."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest

from clearway import TaskRunContext, flow, task
from integration.sdk_runs import flow_history, history, last_flow_run, task_runs

pytestmark = pytest.mark.usefixtures("service")


class Flaky:
    """Fails so many times, then works."""

    def __init__(self, failures: int) -> None:
        self.calls = 0
        self._failures = failures

    def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self._failures:
            raise ConnectionError(f"call {self.calls}")
        return self.calls


@pytest.mark.parametrize("submitted", [False, True])
def test_a_task_is_retried_as_the_same_run(submitted: bool) -> None:
    flaky = Flaky(2)

    @task(retries=2)
    def work() -> int:
        context = TaskRunContext.get()
        assert context is not None
        assert context.run_count == flaky.calls + 1
        return flaky()

    @flow
    def working() -> int:
        return work.submit().result() if submitted else work()

    assert working() == 3
    (run,) = task_runs("working").values()
    assert (run.run_count, run.retries) == (3, 2)
    assert history(run.id) == ["Running"] + ["AwaitingRetry", "Retrying"] * 2 + ["Completed"]


def test_a_task_that_fails_too_often_is_failed() -> None:
    flaky = Flaky(5)

    @task(retries=1)
    def work() -> int:
        return flaky()

    @flow
    def working() -> int:
        return work()

    with pytest.raises(ConnectionError, match="call 2"):
        working()
    (run,) = task_runs("working").values()
    assert history(run.id) == ["Running", "AwaitingRetry", "Retrying", "Failed"]


@pytest.mark.parametrize("submitted", [False, True])
def test_a_retry_waits_for_its_delay(submitted: bool) -> None:
    flaky, times = Flaky(1), []

    @task(retries=1, retry_delay_seconds=0.2)
    def work() -> int:
        times.append(time.monotonic())
        return flaky()

    @flow
    def working() -> int:
        return work.submit().result() if submitted else work()

    working()
    assert times[1] - times[0] >= 0.2


def test_a_task_that_awaits_its_retry_lets_others_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEARWAY_MAX_THREADS", "1")
    order: list[str] = []
    flaky = Flaky(1)

    @task(retries=1, retry_delay_seconds=0.2)
    def first() -> None:
        order.append("first")
        flaky()

    @task
    def second() -> None:
        order.append("second")

    @flow
    def both() -> None:
        first.submit()
        second.submit()

    both()
    assert order == ["first", "second", "first"]


def test_a_flow_s_retry_runs_again_only_what_did_not_complete() -> None:
    calls: list[str] = []
    flaky = Flaky(2)

    @task
    def good(x: int) -> int:
        calls.append(f"good {x}")
        return x

    @task
    def sometimes() -> int:
        calls.append("sometimes")
        return flaky()

    @flow(retries=2)
    def retried() -> list[Any]:
        results: list[Any] = [good(1), good.submit(2).result()]
        results.append(sometimes())
        return [*results, good(3)]

    assert retried() == [1, 2, 3, 3]
    assert calls == ["good 1", "good 2", "sometimes", "sometimes", "sometimes", "good 3"]
    run = last_flow_run("retried")
    assert flow_history(run.id) == [
        "Pending",
        "Running",
        "AwaitingRetry",
        "Retrying",
        "AwaitingRetry",
        "Retrying",
        "Completed",
    ]
    assert {name: run.state.name for name, run in task_runs("retried").items()} == {
        "good-0": "Completed",
        "good-1": "Completed",
        "sometimes-0": "Failed",
        "sometimes-0-2": "Failed",
        "sometimes-0-3": "Completed",
        "good-2": "Completed",
    }


def test_a_flow_s_retry_starts_what_was_not_ready() -> None:
    flaky = Flaky(1)

    @task
    def first() -> int:
        return flaky()

    @task
    def second(x: int) -> int:
        return x

    @flow(retries=1)
    def retried() -> int:
        return second.submit(first.submit()).result()

    assert retried() == 2
    assert history(task_runs("retried")["second-0"].id) == ["NotReady", "Running", "Completed"]


def test_a_flow_s_retry_does_not_run_a_completed_subflow_again() -> None:
    calls: list[str] = []
    flaky = Flaky(1)

    @flow
    def child() -> int:
        calls.append("child")
        return 5

    @flow
    def stumbling() -> int:
        calls.append("stumbling")
        return flaky()

    @flow(retries=1, retry_delay_seconds=0.05)
    def parent() -> tuple[int, int]:
        return child(), stumbling()

    assert parent() == (5, 2)
    assert calls == ["child", "stumbling", "stumbling"]


def test_a_flow_s_context_counts_its_attempts() -> None:
    from clearway import FlowRunContext  # noqa: PLC0415

    counts = itertools.count(1)

    @flow(retries=2)
    def counted() -> int:
        context = FlowRunContext.get()
        assert context is not None
        assert context.run_count == next(counts)
        if context.run_count < 3:
            raise ValueError("again")
        return context.run_count

    assert counted() == 3
