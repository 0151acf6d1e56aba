"""Every kind of parameter that a function may have, as a task's."""

from __future__ import annotations

from typing import Any

import pytest

from clearway import Task, flow, task, unmapped
from clearway.exceptions import ParameterBindError
from integration.sdk_runs import task_runs

pytestmark = pytest.mark.usefixtures("service")


@task
def one() -> int:
    return 1


@task
def variadic(*numbers: int, **named: int) -> tuple[Any, ...]:
    return numbers, named


@task
def keyword_only(x: int, *, scale: int, offset: int = 5) -> int:
    return x * scale + offset


@task
def positional_only(x: int, y: int = 2, /) -> tuple[int, int]:
    return x, y


@task
def all_kinds(a: int, /, b: int, *rest: int, c: int = 3, **named: int) -> tuple[Any, ...]:
    return a, b, rest, c, named


CALLS = [
    (variadic, (), {}, ((), {})),
    (variadic, (1, 2), {"a": 3}, ((1, 2), {"a": 3})),
    (variadic, (), {"numbers": 3, "named": 4}, ((), {"numbers": 3, "named": 4})),
    (keyword_only, (2,), {"scale": 3}, 11),
    (keyword_only, (), {"offset": 0, "scale": 3, "x": 2}, 6),
    (positional_only, (1,), {}, (1, 2)),
    (positional_only, (1, 5), {}, (1, 5)),
    (all_kinds, (1, 2), {}, (1, 2, (), 3, {})),
    (all_kinds, (1, 2, 4, 5), {"c": 6, "a": 7, "z": 8}, (1, 2, (4, 5), 6, {"a": 7, "z": 8})),
]


@pytest.mark.parametrize("submitted", [False, True])
def test_a_call_is_the_function_s_call(submitted: bool) -> None:
    @flow
    def calling() -> list[Any]:
        if submitted:
            return [each.submit(*args, **kwargs).result() for each, args, kwargs, _ in CALLS]
        return [each(*args, **kwargs) for each, args, kwargs, _ in CALLS]

    assert calling() == [expected for *_, expected in CALLS]


def test_futures_among_variadic_arguments_are_replaced_and_recorded() -> None:
    @flow
    def calling() -> Any:
        first, second = one.submit(), one.submit()
        return variadic(first, 2, a=second, b=[first])

    assert calling() == ((1, 2), {"a": 1, "b": [1]})
    runs = task_runs("calling")
    upstream = {runs["one-0"].id, runs["one-1"].id}
    assert {id_ for ids in runs["variadic-0"].task_inputs.values() for id_ in ids} == upstream


def test_a_task_is_mapped_over_keyword_only_and_variadic_parameters() -> None:
    @flow
    def mapping() -> list[Any]:
        scaled = keyword_only.map([1, 2], scale=[10, 20], offset=unmapped(0))
        named = variadic.map(a=[1, 2])
        return [future.result() for future in [*scaled, *named]]

    assert mapping() == [10, 40, ((), {"a": 1}), ((), {"a": 2})]


@pytest.mark.parametrize(
    ("called", "args", "kwargs", "said"),
    [
        (keyword_only, (1, 2), {}, "too many positional arguments"),
        (keyword_only, (1,), {}, "missing a required .*argument: 'scale'"),
        (positional_only, (), {"x": 1}, "'x'"),
        (all_kinds, (1,), {}, "missing a required argument: 'b'"),
    ],
)
def test_a_call_that_does_not_fit_is_an_error_before_anything_runs(
    called: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], said: str
) -> None:
    @flow
    def calling() -> None:
        called(*args, **kwargs)

    with pytest.raises(ParameterBindError, match=said):
        calling()
    assert task_runs("calling") == {}
