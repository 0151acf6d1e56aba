from __future__ import annotations

import functools
import logging
import subprocess
import sys
import typing
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import Enum
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    NamedTuple,
    Optional,
    Protocol,
    TypedDict,
    TypeVar,
    Union,
)

import pytest
from pydantic import BaseModel, Field, field_validator

from clearway import flow
from clearway._definition.parameters import ParameterRules
from clearway.exceptions import ClearwayError, ParameterTypeError

if TYPE_CHECKING:
    from nowhere import Unknown  # type: ignore[import-not-found]  # noqa: F401 - as users have it

T = TypeVar("T")


class Plain:
    pass


class Child(Plain):
    pass


class Colour(Enum):
    RED = "red"


class Row(BaseModel):
    id: int
    name: str = "none"


@dataclass
class Job:
    size: int


@dataclass
class Holder:
    plain: Plain


class Typed(TypedDict):
    size: int


class Named(Protocol):
    name: str


class Point(NamedTuple):
    x: int


def applied(annotation: Any, value: Any) -> Any:
    def function(it: Any) -> None: ...

    function.__annotations__["it"] = annotation
    return ParameterRules(function, "the flow 'f'").applied({"it": value})["it"]


PLAIN = Plain()


@pytest.mark.parametrize(
    ("annotation", "given", "expected"),
    [
        (int, 3, 3),
        (int, "3", 3),
        (int, 3.0, 3),
        (float, 3, 3.0),
        (bool, "yes", True),
        (str, "a", "a"),
        (bytes, b"a", b"a"),
        (list, [1, "a"], [1, "a"]),
        (list[int], ["1", 2], [1, 2]),
        (dict[str, float], {"a": "1.5"}, {"a": 1.5}),
        (set[int], [1, 1], {1}),
        (tuple[int, str], ["1", "a"], (1, "a")),
        (Optional[int], None, None),  # noqa: UP045 - the old kinds are used too
        (Union[int, str], "3", "3"),  # noqa: UP007
        (int | None, None, None),
        (int | None, "3", 3),
        (Named, PLAIN, PLAIN),
        (None, None, None),
        (Literal["a", "b"], "b", "b"),
        (date, "2026-01-02", date(2026, 1, 2)),
        (Path, "a/b", Path("a/b")),
        (Colour, "red", Colour.RED),
        (Row, {"id": "1"}, Row(id=1)),
        (list[Row], [{"id": 1, "name": "a"}], [Row(id=1, name="a")]),
        (Job, {"size": "2"}, Job(2)),
        (Typed, {"size": 2}, {"size": 2}),
        (Point, ("2",), Point(2)),
        (Annotated[int, Field(gt=0)], "2", 2),
        (Any, PLAIN, PLAIN),
        (object, PLAIN, PLAIN),
        (Plain, PLAIN, PLAIN),
        (list[Plain], [PLAIN], [PLAIN]),
        (T, PLAIN, PLAIN),
        (Callable[[int], int], abs, abs),
        ("list[Row]", [{"id": 1}], [Row(id=1)]),
        ("Unknown", PLAIN, PLAIN),
        ("list[Unknown]", 3, 3),
    ],
)
def test_a_value_becomes_what_the_annotation_says(annotation: Any, given: Any, expected: Any) -> None:
    result = applied(annotation, given)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("annotation", "given", "said"),
    [
        (int, "x", r"it='x': Input should be a valid integer.*; annotated as int"),
        (int, 3.5, r"it=3.5: Input should be a valid integer"),
        (str, 3, r"it=3: Input should be a valid string"),
        (int, None, r"it=None: Input should be a valid integer"),
        (list[int], [1, "x"], r"it\[1\]='x': .*; annotated as list\[int\]"),
        (dict[str, int], {"a": "x"}, r"it.a='x': "),
        (Literal["a", "b"], "c", r"it='c': Input should be 'a' or 'b'"),
        (Row, {"name": "a"}, r"it.id=.*: Field required"),
        (list[Row], [{"id": "x"}], r"it\[0\].id='x'"),
        (Annotated[int, Field(gt=0)], 0, r"it=0: Input should be greater than 0"),
        (Typed, 3, r"it=3: Input should be (an instance of|a valid) dict"),
        (Plain, 3, r"it=3: Input should be an instance of .*Plain"),
        (Holder, Job(3), r"it=Job\(size=3\): Input should be an instance of .*Holder|it.*Holder"),
        (str, 10**3000, r"it=1000+\.\.\.: "),
    ],
)
def test_what_cannot_become_it_is_said(annotation: Any, given: Any, said: str) -> None:
    with pytest.raises(ParameterTypeError, match=said) as caught:
        applied(annotation, given)
    assert isinstance(caught.value, ClearwayError)
    assert isinstance(caught.value, TypeError)
    assert str(caught.value).startswith("the flow 'f' was called with what its parameters cannot take")


def test_an_instance_of_a_subclass_or_of_an_unknown_dataclass_is_taken() -> None:
    child, holder = Child(), Holder(PLAIN)
    assert applied(Plain, child) is child
    assert applied(Holder, holder) is holder


def test_a_model_is_passed_on_as_it_is() -> None:
    row = Row(id=1)
    assert applied(Row, row) is row


def test_all_that_is_wrong_is_said_at_once() -> None:
    def function(a: int, b: list[int]) -> None: ...

    with pytest.raises(ParameterTypeError) as caught:
        ParameterRules(function, "the flow 'f'").applied({"a": "x", "b": [1, "y", "z"]})
    assert [line.split(":")[0].strip() for line in str(caught.value).splitlines()[1:]] == [
        "a='x'",
        "b[1]='y'",
        "b[2]='z'",
    ]


def test_variadic_parameters_are_checked_one_by_one() -> None:
    def function(*args: int, **kwargs: float) -> None: ...

    rules = ParameterRules(function, "the flow 'f'")
    assert rules.applied({"args": ("1", 2), "kwargs": {"x": "1.5"}}) == {"args": (1, 2), "kwargs": {"x": 1.5}}
    with pytest.raises(ParameterTypeError, match=r"(?s)args\[1\]='a'.*x='b'"):
        rules.applied({"args": (1, "a"), "kwargs": {"x": "b"}})


def test_defaults_are_taken_as_they_are() -> None:
    def function(x: int = None, y: list[int] = ()) -> None: ...  # type: ignore[assignment]  # noqa: RUF013

    assert ParameterRules(function, "f").applied({"x": None, "y": ()}) == {"x": None, "y": ()}


def test_names_of_the_enclosing_function_and_of_type_parameters_are_known() -> None:
    @dataclass
    class Local:
        size: int

    def function(it: Local) -> type:
        assert it is not None
        return Local

    assert ParameterRules(function, "f").applied({"it": {"size": "3"}}) == {"it": Local(3)}


def test_partials_methods_and_callable_objects_are_read_too() -> None:
    class Called:
        def __call__(self, it: Row) -> None: ...

        def method(self, it: Row) -> None: ...

    def function(first: int, it: Row) -> None: ...

    for each in (Called(), Called().method, functools.partial(function, 1)):
        assert ParameterRules(each, "f").applied({"it": {"id": 1}}) == {"it": Row(id=1)}


def test_what_a_validator_raises_by_itself_is_said() -> None:
    class Picky(BaseModel):
        even: int

        @field_validator("even")
        @classmethod
        def check(cls, value: int) -> int:
            if value % 2:
                raise ValueError("odd")
            return value

    with pytest.raises(ParameterTypeError, match=r"it.even=3: Value error, odd"):
        applied(Picky, {"even": 3})


def test_an_annotation_that_cannot_be_read_is_noted(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="clearway.flows"):
        applied("Unknown", 3)
    assert "the parameter it: 'Unknown' is not checked" in caplog.text


def test_a_flow_validates_when_it_is_asked_to() -> None:
    @flow
    def nightly(day: int) -> int:
        return day

    assert nightly.should_validate_parameters
    assert nightly.validate_parameters({"day": "3"}) == {"day": 3}
    assert not nightly.with_options(validate_parameters=False).should_validate_parameters
    assert (
        not nightly.with_options(validate_parameters=False).with_options(name="n").should_validate_parameters
    )


@pytest.mark.parametrize(
    ("signature", "call", "loads"),
    [
        ("x: int, y: 'str | None' = None, *, z: bool = True", "1, 'a', z=False", False),
        ("x, y: dict = {}, *rest: int, **others: str", "1, {}, 2, 3, a='b'", False),
        ("x: 'Any' = 1", "object()", False),
        ("x: int", "'1'", True),
        ("x: list[int]", "[1]", True),
    ],
)
def test_pydantic_is_loaded_only_where_it_is_needed(signature: str, call: str, loads: bool) -> None:
    script = (
        "import sys\nfrom typing import Any\nfrom clearway import flow\nfrom clearway.context import tags\n"
        f"@flow\ndef f({signature}): ...\n"
        "def bound(*args, **kwargs): return f.validate_parameters(f.signature.bind(args, kwargs))\n"
        f"bound({call})\nprint('pydantic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(loads)


def test_the_annotations_of_a_generic_alias_are_not_taken_for_classes() -> None:
    assert applied(typing.List[int], ["1"]) == [1]  # noqa: UP006 - the old kind is used too
