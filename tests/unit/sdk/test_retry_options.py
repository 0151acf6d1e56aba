"""The options of tasks and flows for their retries."""

from __future__ import annotations

import warnings

import pytest

import clearway
from clearway import flow, task
from clearway._execution.flow.specs import flow_run_spec
from clearway.exceptions import DefinitionWarning
from clearway.tasks import exponential_backoff


def load() -> None: ...


def test_a_list_has_a_delay_for_each_retry() -> None:
    assert task(retries=3, retry_delay_seconds=[1, 2.5, 5])(load).retry_delay_seconds == [1.0, 2.5, 5.0]


def test_a_function_makes_the_list_of_the_number_of_retries() -> None:
    asked: list[int] = []

    def delays(retries: int) -> list[float]:
        asked.append(retries)
        return [float(number) for number in range(retries)]

    loading = task(retries=3, retry_delay_seconds=delays)(load)
    assert loading.retry_delay_seconds == [0.0, 1.0, 2.0]
    assert loading.with_options(retries=2).retry_delay_seconds == [0.0, 1.0]
    assert asked == [3, 2]


def test_exponential_backoff_doubles_and_ends_at_a_year() -> None:
    assert clearway.exponential_backoff is exponential_backoff
    assert exponential_backoff(10)(4) == [10.0, 20.0, 40.0, 80.0]
    many = exponential_backoff(1)(60)
    assert len(many) == 50
    assert max(many) == 365 * 24 * 3600
    assert task(retries=60, retry_delay_seconds=exponential_backoff(1))(load).retry_delay_seconds == many
    assert task(retry_delay_seconds=exponential_backoff(1))(load).retry_delay_seconds == []


@pytest.mark.parametrize(("factor", "kind"), [(-1, ValueError), ("1", TypeError), (float("inf"), ValueError)])
def test_a_wrong_factor_is_said(factor: float, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="backoff_factor of exponential_backoff is"):
        exponential_backoff(factor)


def test_a_list_that_is_longer_than_the_retries_is_warned_of_where_it_is_defined() -> None:
    with pytest.warns(DefinitionWarning, match="the last 2 will never be used") as warned:
        task(retries=1, retry_delay_seconds=[1, 2, 3])(load)
    assert warned[0].filename == __file__


def test_a_list_that_is_shorter_than_the_retries_is_no_mistake() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert task(retries=5, retry_delay_seconds=[1, 2])(load).retry_delay_seconds == [1.0, 2.0]


def test_a_flow_takes_the_delays_that_a_task_takes() -> None:
    loading = flow(retries=3, retry_delay_seconds=[1, 2.5, 5], retry_jitter_factor=0.5)(load)
    assert (loading.retry_delay_seconds, loading.retry_jitter_factor) == ([1.0, 2.5, 5.0], 0.5)
    doubling = flow(retries=3, retry_delay_seconds=exponential_backoff(10))(load)
    assert doubling.retry_delay_seconds == [10.0, 20.0, 40.0]
    assert doubling.with_options(retries=2).retry_delay_seconds == [10.0, 20.0]
    with pytest.warns(DefinitionWarning, match="retry_delay_seconds of the flow 'load' has 3 delays"):
        flow(retries=1, retry_delay_seconds=[1, 2, 3])(load)


def test_the_policy_of_a_run_counts_its_first_attempt() -> None:
    loading = flow(retries=3, retry_delay_seconds=[1, 2.5], retry_jitter_factor=0.5)(load)
    policy = flow_run_spec(loading, "id", "name", {}, frozenset(), "").retry_policy
    delays = [delay.ToMilliseconds() for delay in policy.delays]
    assert (policy.max_attempts, delays, policy.jitter_factor) == (4, [1_000, 2_500], 0.5)
    plain = flow_run_spec(flow(load), "id", "name", {}, frozenset(), "")
    assert not plain.HasField("retry_policy")
