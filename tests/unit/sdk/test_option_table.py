"""The options of ``@task`` and ``@flow`` as they are shown and checked at run time."""

from __future__ import annotations

import inspect
import pydoc
import re
import typing
from typing import Any

import pytest

from clearway import Flow, Task, flow, task
from clearway._definition.base import FLOW_OPTIONS, TASK_OPTIONS, FlowOptions, TaskOptions
from clearway._definition.option_table import OptionTable

TABLES: list[tuple[OptionTable, Any, Any]] = [(TASK_OPTIONS, task, Task), (FLOW_OPTIONS, flow, Flow)]
SHOWN = {"task": (task, Task, Task.with_options), "flow": (flow, Flow, Flow.with_options)}


def options_of(function: Any) -> dict[str, Any]:
    """Return the keyword-only parameters of a function and their defaults."""
    return {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


@pytest.mark.parametrize(("table", "decorator", "kind"), TABLES)
def test_the_signatures_show_each_option_with_its_default(
    table: OptionTable, decorator: Any, kind: Any
) -> None:
    assert options_of(decorator) == options_of(kind) == options_of(kind.__init__) == table.defaults
    assert list(options_of(kind.with_options)) == list(table.defaults)
    assert {repr(default) for default in options_of(kind.with_options).values()} == {"..."}
    assert not any(
        parameter.kind is inspect.Parameter.VAR_KEYWORD
        for function in (decorator, kind, kind.with_options)
        for parameter in inspect.signature(function).parameters.values()
    )


def test_some_defaults_and_types() -> None:
    parameters = inspect.signature(task).parameters
    assert str(parameters["retries"]) == "retries: 'int' = 0"
    assert str(parameters["cache_single_flight"]) == "cache_single_flight: 'bool' = True"
    assert str(parameters["tags"]) == "tags: 'Iterable[str] | None' = None"
    assert (
        str(inspect.signature(flow).parameters["validate_parameters"]) == "validate_parameters: 'bool' = True"
    )


@pytest.mark.parametrize(("table", "decorator", "kind"), TABLES)
def test_help_shows_and_explains_each_option(table: OptionTable, decorator: Any, kind: Any) -> None:
    shown = pydoc.plain(pydoc.render_doc(decorator))
    for option in table.defaults:
        assert f"{option}: '" in shown  # in the signature
        assert f"``{option}``" in shown  # in the text
        assert f"{option}: '" in pydoc.plain(pydoc.render_doc(kind))
    explained = re.findall(r"^ *((?:``\w+``(?:, )?)+): ", shown, re.MULTILINE)
    named = [option for line in explained for option in re.findall(r"\w+", line)]
    assert sorted(named) == sorted(table.defaults)


@pytest.mark.parametrize(("table", "kind"), [(TASK_OPTIONS, TaskOptions), (FLOW_OPTIONS, FlowOptions)])
def test_the_table_is_that_of_the_typed_dictionary(table: OptionTable, kind: Any) -> None:
    assert list(table.defaults) == list(kind.__annotations__)
    assert kind.__total__ is False


@pytest.mark.parametrize(("table", "decorator", "kind"), TABLES)
def test_each_default_is_what_an_object_made_without_options_has(
    table: OptionTable, decorator: Any, kind: Any
) -> None:
    made = decorator(lambda: None)
    given = decorator(**table.defaults)(lambda: None)
    for option in table.defaults:
        attribute = "should_validate_parameters" if option == "validate_parameters" else option
        if not option.startswith("on_"):
            assert repr(getattr(made, attribute)) == repr(getattr(given, attribute))
    assert made.hooks == given.hooks == {}
    assert type(made) is kind


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: task(cache_key=None), r"@task has no option 'cache_key'; did you mean 'cache_key_fn'\?"),
        (lambda: task(retry=1)(print), r"@task has no option 'retry'; did you mean 'retries'\?"),
        (lambda: task(print, retry=1), r"@task has no option 'retry'"),
        (lambda: Task(print, retry=1), r"@task has no option 'retry'"),
        (lambda: task(print).with_options(retry=1), r"@task has no option 'retry'"),
        (lambda: flow(retrys=1), r"@flow has no option 'retrys'; did you mean 'retries'\?"),
        (lambda: flow(print, tags=["a"]), r"@flow has no option 'tags'; its options are name, description, "),
        (lambda: flow(print).with_options(tags=["a"]), r"@flow has no option 'tags'"),
    ],
)
def test_an_option_that_does_not_exist_is_refused_with_the_nearest(make: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        make()


def test_options_may_be_given_with_the_function() -> None:
    assert task(print, name="shown", retries=2).retries == 2
    assert flow(print, name="shown", retries=2).retries == 2


def test_with_options_makes_one_of_the_same_class() -> None:
    class Own(Task[typing.Any, typing.Any]):
        pass

    assert type(Own(print).with_options(retries=1)) is Own


def test_the_function_s_signature_is_the_task_s_and_the_flow_s() -> None:
    def function(a: int, *, b: str = "") -> float:
        return a + len(b)

    for made in (task(function), flow(function)):
        assert str(inspect.signature(made)) == "(a: 'int', *, b: 'str' = '') -> 'float'"


def test_attributes_of_a_function_never_hide_those_of_its_task() -> None:
    def function() -> None: ...

    for name in ("submit", "map", "task_key", "with_options", "name", "tags", "own"):
        setattr(function, name, "the function's")
    made = task(function)
    assert callable(made.submit)
    assert callable(made.map)
    assert callable(made.with_options)
    assert (made.name, made.tags, len(made.task_key)) == ("function", frozenset(), 32)
    assert made.own == "the function's"  # type: ignore[attr-defined]
