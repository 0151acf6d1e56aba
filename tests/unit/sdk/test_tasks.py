from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest

from clearway import State, Task, flow, task
from clearway.context import TaskRunContext
from clearway.exceptions import MissingContext, ParameterBindError, ReservedArgument


@task
def add(x: int, y: int = 1) -> int:
    """Add two numbers."""
    return x + y


def make_key(context: TaskRunContext, parameters: dict[str, Any]) -> str:
    return f"{context.flow_run_id}-{parameters}"


def only_timeouts(_task: object, _run: object, state: State[Any]) -> bool:
    return isinstance(state.result(raise_on_failure=False), TimeoutError)


OPTIONS: dict[str, Any] = {
    "name": "sum",
    "description": "adds",
    "tags": frozenset({"a", "b"}),
    "version": "1.2",
    "cache_key_fn": make_key,
    "cache_expiration": timedelta(days=1),
    "refresh_cache": True,
    "retries": 3,
    "retry_delay_seconds": 1.5,
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": only_timeouts,
    "persist_result": True,
    "result_storage": "s3://bucket/results",
}


def test_a_task_takes_its_name_and_description_from_its_function() -> None:
    assert (add.name, add.description, add.__doc__) == ("add", "Add two numbers.", "Add two numbers.")
    assert (add.tags, add.version, add.retries, add.retry_delay_seconds) == (frozenset(), None, 0, 0.0)
    assert not add.is_async


def test_a_task_s_function_can_be_called_without_orchestration() -> None:
    assert add.fn(1, y=2) == 3


def test_a_task_takes_options() -> None:
    described = task(**OPTIONS)(add.fn)
    assert {option: getattr(described, option) for option in OPTIONS} == OPTIONS


@pytest.mark.parametrize("option", OPTIONS)
def test_with_options_changes_what_is_given_and_keeps_the_rest(option: str) -> None:
    changed = add.with_options(**{option: OPTIONS[option]})
    for name, value in OPTIONS.items():
        assert getattr(changed, name) == (value if name == option else getattr(add, name))
    again = changed.with_options()
    assert {name: getattr(again, name) for name in OPTIONS} == {
        name: getattr(changed, name) for name in OPTIONS
    }


def test_an_async_function_makes_an_async_task() -> None:
    @task
    async def wait() -> None: ...

    class Waits:
        async def __call__(self) -> None: ...

    assert wait.is_async
    assert Task(Waits(), name="waits").is_async


def test_the_task_key_is_of_name_qualified_name_and_tags() -> None:
    assert add.task_key == add.with_options(retries=2).task_key
    others = [
        add.with_options(name="other").task_key,
        add.with_options(tags=["a"]).task_key,
        add.with_options(tags=["a", "b"]).task_key,
        task(name="add")(lambda x: x).task_key,
    ]
    assert len({add.task_key, *others}) == 5
    assert add.with_options(tags=["b", "a"]).task_key == add.with_options(tags=["a", "b"]).task_key


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"name": ""}, ValueError, "1 to 200"),
        ({"name": "x" * 201}, ValueError, "201 characters"),
        ({"name": "caf\udce9"}, ValueError, "UTF-8 cannot encode"),
        ({"name": 3}, TypeError, "name of a task is 3"),
        ({"retries": -1}, ValueError, "retries of the task 'add' is -1"),
        ({"retries": 10_001}, ValueError, "10,000"),
        ({"retries": 1.5}, TypeError, "whole number"),
        ({"retries": True}, TypeError, "whole number"),
        ({"retry_delay_seconds": -1}, ValueError, "retry_delay_seconds of the task 'add' is -1"),
        ({"retry_delay_seconds": float("nan")}, ValueError, "nan"),
        ({"retry_delay_seconds": "1"}, TypeError, "number of seconds"),
        ({"retry_delay_seconds": [1, -2]}, ValueError, r"retry_delay_seconds\[1\] of the task 'add' is -2"),
        ({"retry_delay_seconds": [1, "2"]}, TypeError, r"retry_delay_seconds\[1\] of the task 'add' is '2'"),
        ({"retry_delay_seconds": []}, ValueError, "has 0 delays; it must have 1 to 50"),
        ({"retry_delay_seconds": [1] * 51}, ValueError, "has 51 delays"),
        ({"retry_delay_seconds": lambda _: "soon"}, TypeError, "'soon'"),
        ({"retry_jitter_factor": -0.1}, ValueError, "from 0 to 100"),
        ({"retry_jitter_factor": float("nan")}, ValueError, "from 0 to 100"),
        ({"retry_jitter_factor": "a lot"}, TypeError, "retry_jitter_factor of the task 'add' is 'a lot'"),
        ({"retry_condition_fn": True}, TypeError, "retry_condition_fn of the task 'add' is True"),
        ({"persist_result": 1}, TypeError, "persist_result of the task 'add' is 1"),
        (
            {"result_storage": ""},
            ValueError,
            "result_storage of the task 'add' is ''; it must be",
        ),
        ({"result_storage": 5}, ValueError, "result_storage of the task 'add' is 5"),
        ({"refresh_cache": "yes"}, TypeError, "refresh_cache of the task 'add' is 'yes'"),
        ({"tags": "small"}, TypeError, r"such as \['small'\]"),
        ({"tags": [1]}, TypeError, "tag 1 is of type int"),
        ({"tags": 5}, TypeError, "list or set of strings"),
        ({"tags": [""]}, ValueError, "the tag '' has 0 characters; a tag has 1 to 255"),
        ({"tags": ["t" * 256]}, ValueError, "256 characters"),
        ({"tags": ["a\n"]}, ValueError, "must be printable"),
        ({"description": 2}, TypeError, "description of the task 'add' is 2"),
        ({"version": 2}, TypeError, "version of the task 'add' is 2"),
        ({"version": "v" * 256}, ValueError, "256 characters"),
        ({"cache_key_fn": "key"}, TypeError, "cache_key_fn of the task 'add' is 'key'"),
        ({"cache_expiration": 60}, TypeError, "timedelta"),
        ({"cache_expiration": timedelta(0)}, ValueError, "above 0"),
    ],
)
def test_a_wrong_option_is_said_at_the_definition(
    options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        add.with_options(**options)


def test_an_async_generator_makes_no_task() -> None:
    async def numbers() -> AsyncIterator[int]:
        yield 1

    for make in (task, flow):
        with pytest.raises(TypeError, match=r"is an async generator function, .* return a list"):
            make(numbers)


def test_something_that_cannot_be_called_makes_no_task() -> None:
    with pytest.raises(TypeError, match="must be given a function, not 5"):
        task(5)  # type: ignore[call-overload]


@pytest.mark.parametrize("name", ["return_state", "wait_for"])
def test_parameters_with_names_of_ours_are_refused(name: str) -> None:
    scope: dict[str, Any] = {}
    exec(f"def bad({name}): ...", scope)
    with pytest.raises(ReservedArgument, match=f"parameter named '{name}'"):
        task(scope["bad"])


def test_a_task_outside_a_flow_says_to_use_fn() -> None:
    calls: list[Callable[[], Any]] = [lambda: add(1), lambda: add.submit(1), lambda: add.map([1])]
    for call in calls:
        with pytest.raises(MissingContext, match=r"add\.fn\(\.\.\.\)"):
            call()


@pytest.mark.parametrize(
    ("key", "expected"), [("k", "k"), (None, ""), ("x" * 1_024, "x" * 1_024), ("caf\udce9", r"caf\udce9")]
)
def test_a_cache_key_is_a_string_or_nothing(key: str | None, expected: str) -> None:
    assert add.checked_cache_key(key) == expected


def test_a_wrong_cache_key_is_said() -> None:
    with pytest.raises(TypeError, match="returned 5"):
        add.checked_cache_key(5)
    with pytest.raises(ValueError, match="1,025 characters"):
        add.checked_cache_key("x" * 1_025)


def test_arguments_that_do_not_fit_are_said_with_the_signature() -> None:
    with pytest.raises(ParameterBindError, match=r"add\(x: .*too many positional"):
        add.signature.bind((1, 2, 3), {})


def test_task_input_hash_is_where_users_look_for_it() -> None:
    import clearway  # noqa: PLC0415
    from clearway.tasks import task_input_hash  # noqa: PLC0415

    assert task_input_hash is clearway.task_input_hash


@pytest.mark.parametrize(
    ("seconds", "error"),
    [(-1, ValueError), (float("inf"), ValueError), ("5", TypeError), (True, TypeError)],
)
def test_a_timeout_that_is_none_is_said(seconds: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"timeout_seconds of the task 'work' is .*; it must be"):
        task(name="work", timeout_seconds=seconds)(lambda: None)


def test_log_prints_that_is_no_truth_value_is_said() -> None:
    with pytest.raises(TypeError, match="log_prints of the task 'work' is 1; it must be"):
        task(name="work", log_prints=1)(lambda: None)  # type: ignore[call-overload]
