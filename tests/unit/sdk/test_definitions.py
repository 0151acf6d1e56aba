"""Two tasks that cannot be told apart are noticed where the second is defined."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from clearway import Task, task
from clearway.exceptions import DefinitionWarning


def define(source: str, first_line: int = 1) -> Task[..., Any]:
    """Define what a notebook's cell has, in the module of the same name each time."""
    names: dict[str, Any] = {"task": task, "__name__": f"notebook_{_cell}"}
    exec(compile("\n" * (first_line - 1) + source, "cell.py", "exec"), names)
    found: Task[..., Any] = names["load"]
    return found


_cell = 0


@pytest.fixture(autouse=True)
def fresh_module() -> None:
    global _cell  # noqa: PLW0603 - a module of its own for each test
    _cell += 1


@pytest.mark.parametrize(
    "changed",
    [
        "@task\ndef load(x): return x + 2",
        "@task\ndef load(y): return y + 1",
        "@task\ndef load(x): return x + 1.0",
        "@task\ndef load(x): return [x + 2 for _ in x]",
        "@task(name='load')\nasync def load(x): return x + 1",
    ],
)
def test_another_function_with_the_same_names_is_warned_of(changed: str) -> None:
    define("@task\ndef load(x): return x + 1")
    with pytest.warns(
        DefinitionWarning, match=r"'load' is defined again .*before: cell\.py:\d+, now: cell\.py:\d+"
    ):
        define(changed, first_line=6)


@pytest.mark.parametrize(
    "source",
    ["@task\ndef load(x): return x + 1", "@task\ndef load(x): return [each * 2 for each in x]"],
)
def test_the_same_source_may_be_defined_again_wherever_it_stands(source: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        define(source)
        define(source)
        define(source, first_line=40)


def test_other_names_options_and_copies_are_no_conflict() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load = define("@task\ndef load(x): return x + 1")
        load.with_options(retries=2).with_options(name="again")
        define("@task(name='other')\ndef load(x): return x + 2")
        for number in (1, 2):
            task(lambda given, number=number: given + number)


def test_it_points_to_the_line_of_the_definition() -> None:
    def make(number: int) -> Task[..., Any]:
        if number == 1:

            @task
            def work() -> int:
                return 1

        else:

            @task
            def work() -> int:
                return 2

        return work

    make(1)
    with pytest.warns(DefinitionWarning, match="give one of them another name") as warned:
        make(2)
    assert warned[0].filename == __file__


def test_what_has_no_code_is_not_compared() -> None:
    class Work:
        def __call__(self) -> int:
            return 1

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert task(name="work")(Work()) is not task(name="work")(Work())
