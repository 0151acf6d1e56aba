from __future__ import annotations

import re
from typing import Any

import pytest

from clearway import flow, task
from clearway.states import AwaitingRetry, Completed, Crashed, Failed, Running


def first(*_: object) -> None: ...


def second(*_: object) -> None: ...


def work() -> None: ...


def test_hooks_are_found_by_the_state_that_a_run_enters() -> None:
    hooked = task(on_completion=[first, second], on_failure=(second,))(work)
    assert hooked.hooks_for(Completed()) == [first, second]
    assert hooked.hooks_for(Failed()) == [second]
    assert hooked.hooks_for(Running()) == hooked.hooks_for(AwaitingRetry()) == []


def test_decorators_add_hooks_and_return_the_function() -> None:
    hooked = flow(on_crashed=[first])(work)
    assert hooked.on_crashed(second) is second
    assert hooked.on_running(first) is first
    assert hooked.hooks_for(Crashed()) == [first, second]
    assert hooked.hooks == {"on_crashed": [first, second], "on_running": [first]}


def test_with_options_keeps_replaces_and_drops_hooks() -> None:
    hooked = task(on_completion=[first], on_failure=[first])(work)
    other = hooked.with_options(on_failure=[second], on_completion=None)
    assert other.hooks == {"on_failure": [second]}
    kept = hooked.with_options(retries=1)
    kept.on_failure(second)
    assert kept.hooks == {"on_completion": [first], "on_failure": [first, second]}
    assert hooked.hooks == {"on_completion": [first], "on_failure": [first]}
    assert flow(on_cancellation=[first])(work).with_options(retries=1).hooks == {"on_cancellation": [first]}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (first, "must be a list of functions, such as on_failure=[tell]"),
        ("first", "on_failure of the task 'work' is 'first'; it must be a list of functions"),
        (5, "on_failure of the task 'work' is 5"),
        ([5], "on_failure of the task 'work' has 5; a hook must be a function of (task, task_run, state)"),
    ],
)
def test_what_is_no_list_of_functions_is_said(given: Any, why: str) -> None:
    with pytest.raises(TypeError, match=re.escape(why)):
        task(on_failure=given)(work)
