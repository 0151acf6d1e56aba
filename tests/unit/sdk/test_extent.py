"""How long a value would be if it were written out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from clearway._base.extent import extent, is_long
from clearway._definition.signature import parameters_to_json, short_repr
from clearway._results.json_values import is_exact_json


@dataclass
class Node:
    one: Any
    two: Any


def doubled(levels: int, wrap: Any = lambda value: [value, value]) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = wrap(value)
    return value


WRAPS = [
    lambda value: [value, value],
    lambda value: (value, value),
    lambda value: {"a": value, "b": value},
    lambda value: Node(value, value),
]


@pytest.mark.parametrize(
    "value", [1, "text", [1, 2], {"a": [1, {2}]}, (), None, list(range(1_000)), Node(1, [2])]
)
def test_the_extent_is_about_the_length_of_the_text(value: Any) -> None:
    assert extent(value) <= len(repr(value)) + 2
    assert not is_long(value)


@pytest.mark.parametrize("wrap", WRAPS)
def test_what_is_there_often_counts_as_often(wrap: Any) -> None:
    assert extent(doubled(10, wrap)) > 1_000
    assert is_long(doubled(40, wrap))
    assert is_long(doubled(100_000, wrap))


@pytest.mark.parametrize("wrap", WRAPS)
def test_parameters_with_a_text_that_would_not_end_are_outlined(wrap: Any) -> None:
    recorded = json.loads(parameters_to_json({"x": doubled(60, wrap), "y": 1}))
    assert "a very long" in recorded["x"]
    assert len(recorded["x"]) < 3_000
    assert recorded["y"] == "1"


def test_a_little_that_is_circular_is_written_and_much_is_not() -> None:
    ring: list[Any] = []
    ring.append(ring)
    assert short_repr(ring) == "[[...]]"
    nodes: list[list[Any]] = [[] for _ in range(40)]
    for node in nodes:
        node.extend(nodes)
    assert "a very long list" in short_repr(nodes)


@pytest.mark.parametrize(
    "value", [1, 0.5, "a", None, [], {}, [1, [2, {"a": [None]}]], {"a": {"b": 1.5}}, [[1]] * 3]
)
def test_json_holds_plain_data(value: Any) -> None:
    assert is_exact_json(value)


def deep(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [2**63, float("nan"), (1,), {1: 2}, [{"a": (1,)}], b"", {1}, [True, [1j]], deep(100), doubled(40)],
)
def test_json_does_not_hold_what_it_would_change_or_make_much_longer(value: Any) -> None:
    assert not is_exact_json(value)


def test_json_is_not_used_for_what_holds_itself() -> None:
    ring: list[Any] = [1]
    ring.append({"a": ring})
    assert not is_exact_json(ring)
    many: list[list[Any]] = [[] for _ in range(2_000)]
    for one, following in zip(many, [*many[1:], many[0]], strict=True):
        one.extend([following, following])
    assert not is_exact_json(many)
