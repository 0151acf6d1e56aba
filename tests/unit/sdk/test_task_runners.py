"""What flows take for a task runner."""

from __future__ import annotations

import pytest

import clearway
from clearway import flow
from clearway.task_runners import (
    ConcurrentTaskRunner,
    SequentialTaskRunner,
    TaskConcurrencyType,
    ThreadPoolTaskRunner,
)


def nothing() -> None:
    """Do nothing."""


def test_a_flow_without_a_task_runner_has_the_concurrent_one() -> None:
    assert type(flow(nothing).task_runner) is ConcurrentTaskRunner
    assert flow(nothing).task_runner.concurrency_type is TaskConcurrencyType.CONCURRENT


def test_a_class_stands_for_a_new_runner() -> None:
    assert type(flow(task_runner=SequentialTaskRunner)(nothing).task_runner) is SequentialTaskRunner


def test_an_instance_is_kept_also_with_other_options() -> None:
    runner = ThreadPoolTaskRunner(max_workers=3)
    made = flow(task_runner=runner)(nothing)
    assert made.task_runner is runner
    assert made.with_options(name="other").task_runner is runner
    assert type(made.with_options(task_runner=None).task_runner) is ConcurrentTaskRunner
    assert type(made.with_options(task_runner=SequentialTaskRunner).task_runner) is SequentialTaskRunner


@pytest.mark.parametrize("wrong", ["threads", 8, len])
def test_what_is_no_task_runner_is_refused(wrong: object) -> None:
    with pytest.raises(TypeError, match=r"task_runner of the flow 'nothing' is .*ConcurrentTaskRunner"):
        flow(task_runner=wrong)(nothing)  # type: ignore[call-overload]


@pytest.mark.parametrize("kind", [ConcurrentTaskRunner, ThreadPoolTaskRunner])
def test_a_wrong_number_of_workers_is_refused(kind: type[ConcurrentTaskRunner]) -> None:
    for number in (0, -1, 10_001):
        with pytest.raises(ValueError, match=rf"max_workers of {kind.__name__} is {number}; .* 1 to 10,000"):
            kind(max_workers=number)
    for other in (2.5, "4", True):
        with pytest.raises(TypeError, match="must be a whole number from 1 to 10,000"):
            kind(max_workers=other)  # type: ignore[arg-type]


def test_the_number_of_threads_is_the_settings_unless_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEARWAY_MAX_THREADS", "7")
    assert ConcurrentTaskRunner().max_workers == 7
    assert ConcurrentTaskRunner(max_workers=3).max_workers == 3
    assert repr(ConcurrentTaskRunner()) == "ConcurrentTaskRunner()"
    assert repr(ThreadPoolTaskRunner(max_workers=3)) == "ThreadPoolTaskRunner(max_workers=3)"


def test_they_are_found_where_users_look() -> None:
    assert clearway.ConcurrentTaskRunner is ConcurrentTaskRunner
    assert clearway.SequentialTaskRunner is SequentialTaskRunner
