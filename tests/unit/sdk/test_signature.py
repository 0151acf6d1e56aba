from __future__ import annotations

import json
from typing import Any

import pytest

from clearway._definition.signature import CallSignature, parameters_to_json
from clearway.exceptions import ParameterBindError


def everything(a: Any, /, b: Any, c: Any = 3, *rest: Any, d: Any, e: Any = 5, **more: Any) -> tuple[Any, ...]:
    return a, b, c, rest, d, e, more


def plain(a: Any, b: Any = 2) -> tuple[Any, ...]:
    return a, b


def keyword(a: Any, b: Any = 2, *, c: Any = 3) -> tuple[Any, ...]:
    return a, b, c


CALLS: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = [
    (plain, (1,), {}),
    (plain, (1, 5), {}),
    (plain, (), {"a": 1}),
    (plain, (1,), {"b": 4}),
    (keyword, (1,), {}),
    (keyword, (1, 5), {"c": 4}),
    (everything, (1, 2), {"d": 4}),
    (everything, (1, 2, 3, 4, 5), {"d": 4, "x": 1, "a": 2}),
    (everything, (1,), {"b": 7, "d": 4, "e": 8}),
]


@pytest.mark.parametrize(("fn", "args", "kwargs"), CALLS)
def test_a_bound_call_is_the_call(fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    signature = CallSignature(fn, "fn")
    assert signature.call(signature.bind(args, kwargs)) == fn(*args, **kwargs)


def test_defaults_are_given_or_left_out() -> None:
    signature = CallSignature(plain, "plain")
    assert signature.bind((1,), {}) == {"a": 1, "b": 2}
    assert signature.bind((1,), {}, defaults=False) == {"a": 1}
    assert signature.with_defaults({"a": 1}) == {"a": 1, "b": 2}


@pytest.mark.parametrize(("args", "kwargs"), [((), {}), ((1, 2, 3), {}), ((1,), {"a": 1}), ((1,), {"z": 1})])
def test_a_call_that_does_not_fit_names_the_function(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    with pytest.raises(ParameterBindError, match="plain task"):
        CallSignature(plain, "plain task").bind(args, kwargs)


class Unspeakable:
    def __repr__(self) -> str:
        raise ZeroDivisionError


def test_parameters_are_recorded_as_json_and_otherwise_as_their_repr() -> None:
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    recorded = json.loads(
        parameters_to_json(
            {
                "n": 1,
                "nested": {"a": [1, {2}]},
                "keys": {(1, 2): 3},
                "nan": float("nan"),
                "cyclic": cyclic,
                "broken": Unspeakable(),
                "text": "\ud800ü",
            }
        )
    )
    assert recorded["n"] == 1
    assert recorded["nested"] == {"a": [1, "{2}"]}
    assert recorded["keys"] == "{(1, 2): 3}"
    assert recorded["nan"] == "nan"
    assert recorded["cyclic"] == "[[...]]"
    assert recorded["broken"] == "<Unspeakable whose repr raises ZeroDivisionError>"
    assert recorded["text"] == "\ud800ü"


def test_parameters_that_are_too_large_are_shortened() -> None:
    document = parameters_to_json({"big": list(range(500_000)), "small": 1})
    assert len(document) < 524_288
    recorded = json.loads(document)
    assert recorded["big"].startswith("[0, 1, 2")
    assert recorded["small"] == "1"
