from __future__ import annotations

import re
from typing import Any

import pytest

from clearway import flow, task
from clearway._definition.run_names import make_run_name


def load(path: str, *, day: int = 1) -> None: ...


def test_a_template_names_parameters() -> None:
    loading = task(task_run_name="load {path!r} of {day:03d}, {path.real}")(load)
    assert loading.task_run_name == "load {path!r} of {day:03d}, {path.real}"
    assert flow(flow_run_name="{{day}} {path[0]}")(load).flow_run_name == "{{day}} {path[0]}"


@pytest.mark.parametrize(
    ("template", "why"),
    [
        (
            "load {file}",
            "names 'file'; a template may name the function's parameters, and it takes path",
        ),
        ("load {}", "names ''"),
        (
            "load {path",
            "is not a valid template: expected '}' before end of string; write {{ and }} for literal braces",
        ),
        ("load {path!z}", "is not a valid template: Unknown conversion specifier z"),
        ("", "is ''; a name must have 1 to 255 characters"),
    ],
)
def test_a_bad_template_is_said_at_the_definition(template: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        task(task_run_name=template)(load)
    with pytest.raises(ValueError, match=re.escape(why)):
        flow(flow_run_name=template)(load)


def test_a_name_that_is_neither_template_nor_function_is_said() -> None:
    with pytest.raises(TypeError, match="task_run_name of the task 'load' is 5; it must be a template"):
        task(task_run_name=5)(load)  # type: ignore[call-overload]


def test_a_function_that_needs_arguments_is_said_at_the_definition() -> None:
    with pytest.raises(TypeError, match=r"cannot be called without arguments: missing a required .*'path'"):
        task(task_run_name=load)(load)
    assert callable(task(task_run_name=lambda suffix="x": suffix)(load).task_run_name)


def test_with_options_changes_and_keeps_the_name() -> None:
    named = task(task_run_name="{path}")(load)
    assert named.with_options(retries=1).task_run_name == "{path}"
    assert named.with_options(task_run_name=None).task_run_name is None


@pytest.mark.parametrize(
    ("made_by", "error", "why"),
    [
        (lambda: 5, TypeError, "name of it returned 5; it must return a string"),
        (lambda: "", ValueError, "name of it made a name of 0 characters; it must have 1 to 255"),
        ("{x}" * 300, ValueError, "made a name of 300 characters; it must have 1 to 255: 'aaa"),
    ],
)
def test_a_name_that_is_no_name_is_said(made_by: Any, error: type[Exception], why: str) -> None:
    with pytest.raises(error, match=re.escape(why)):
        make_run_name("name", "it", made_by, {"x": "a"})


def test_a_name_that_is_no_utf_8_is_escaped() -> None:
    assert make_run_name("name", "it", "load {x}", {"x": "caf\udce9"}) == r"load caf\udce9"
