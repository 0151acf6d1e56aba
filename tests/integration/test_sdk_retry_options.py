"""Retries as a task's author tells them, and as the service does them."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from clearway import exponential_backoff, flow, get_client, task
from integration.sdk_runs import history, task_runs

pytestmark = pytest.mark.usefixtures("service")


@pytest.mark.parametrize("submitted", [False, True])
def test_each_retry_has_a_delay_of_its_own(submitted: bool) -> None:
    times: list[float] = []

    @task(retries=3, retry_delay_seconds=[0, 0.15])
    def work() -> None:
        times.append(time.monotonic())
        if len(times) <= 3:
            raise ConnectionError

    @flow
    def working() -> None:
        if submitted:
            work.submit().result()
        else:
            work()

    working()
    assert times[2] - times[1] >= 0.15
    assert times[3] - times[2] >= 0.15
    (run,) = task_runs("working").values()
    assert run.retry_delays == (timedelta(0), timedelta(seconds=0.15))
    assert history(run.id) == ["Running"] + ["AwaitingRetry", "Retrying"] * 3 + ["Completed"]


def test_the_service_is_told_how_the_delays_grow_and_how_far_they_are_spread() -> None:
    @task(retries=3, retry_delay_seconds=exponential_backoff(10), retry_jitter_factor=0.5)
    def work() -> None: ...

    @flow
    def working() -> None:
        work()

    working()
    (run,) = task_runs("working").values()
    assert run.retry_delays == tuple(timedelta(seconds=delay) for delay in (10, 20, 40))
    assert run.retry_jitter_factor == 0.5


def test_the_delays_are_spread_at_random() -> None:
    failed: set[int] = set()

    @task(retries=1, retry_delay_seconds=0.05, retry_jitter_factor=1)
    def work(number: int) -> None:
        if number not in failed:
            failed.add(number)
            raise ConnectionError

    @flow
    def working() -> None:
        work.map(range(8))

    working()
    delays = set()
    with get_client() as client:
        for run in task_runs("working").values():
            waiting = client.read_task_run_states(run.id)[-3]
            assert waiting.name == "AwaitingRetry"
            assert waiting.details.scheduled_time is not None
            delays.add(waiting.details.scheduled_time - waiting.timestamp)
    assert len(delays) == 8
    assert timedelta(0) < min(delays) < max(delays) <= timedelta(seconds=0.1)
