"""Arguments and results whose parts are shared, circular or deep; and what all runs of a map are given."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import pytest

from clearway import flow, quote, task, task_input_hash, unmapped
from integration.sdk_runs import last_flow_run, task_runs

pytestmark = pytest.mark.usefixtures("service")

_numbers = itertools.count()


@dataclass(eq=False)
class Node:
    parent: Any
    children: list[Any]
    value: Any


def doubled(bottom: Any = 1) -> Any:
    """Return a list that holds a list twice, and so on, 60 times: 10^18 items if written out."""
    value = [bottom]
    for _ in range(60):
        value = [value, value]
    return value


def deep(bottom: Any = 1) -> Any:
    value = bottom
    for _ in range(10_000):
        value = [value]
    return value


def ring(bottom: Any = 1) -> Any:
    value: list[Any] = [bottom]
    value.append({"ring": value})
    return value


def tree(bottom: Any = 1) -> Any:
    nodes = [Node(None, [], bottom)]
    for number in range(1, 2_000):
        parent = nodes[number // 2]
        nodes.append(Node(parent, [], number))
        parent.children.append(nodes[-1])
    return nodes[0]


def bottom_of(value: Any) -> Any:
    while isinstance(value, (list, Node)):
        value = value.value if isinstance(value, Node) else value[0]
    return value


SHAPES = [doubled, deep, ring, tree]


@pytest.mark.parametrize("shape", SHAPES)
def test_they_are_passed_on_and_returned(shape: Any) -> None:
    @task
    def take(value: Any) -> Any:
        return value

    @flow(name="passing")
    def passing(value: Any) -> Any:
        called = take(value)
        submitted = take.submit(value).result()
        assert called is submitted is value
        return called

    value = shape()
    assert passing(value) is value
    assert last_flow_run("passing").state.is_completed()
    assert bottom_of(last_flow_run("passing").state.result()) == 1


@pytest.mark.parametrize("shape", SHAPES)
def test_futures_in_them_are_found_and_replaced(shape: Any) -> None:
    @task
    def one() -> int:
        return 41

    @task
    def take(value: Any) -> Any:
        return bottom_of(value) + 1

    @flow
    def finding() -> Any:
        future = one.submit()
        return take(shape(future)), take.submit(shape([future])).result(), take(shape(7))

    assert finding() == (42, 42, 8)


@pytest.mark.parametrize("shape", SHAPES)
def test_they_have_a_cache_key(shape: Any) -> None:
    calls: list[int] = []
    salt = next(_numbers)

    @task(cache_key_fn=task_input_hash, name=f"keyed-{salt}")
    def take(value: Any) -> Any:
        calls.append(bottom_of(value))
        return value

    @flow
    def keyed() -> Any:
        return [bottom_of(take(shape(bottom))) for bottom in (1, 1, 2)]

    assert keyed() == [1, 1, 2]
    assert calls == [1, 2]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_flow_and_a_subflow_return_them(shape: Any) -> None:
    @flow
    def inner(value: Any) -> Any:
        return value

    @flow(name="outer-of-shapes")
    def outer() -> Any:
        return inner(shape())

    assert bottom_of(outer()) == 1
    assert bottom_of(last_flow_run("outer-of-shapes").state.result()) == 1


class Counted(list[Any]):
    """A list that counts how often it is gone over."""

    looks = 0

    def __iter__(self) -> Any:
        Counted.looks += 1
        return super().__iter__()


@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize("holds", ["data", "a future"])
def test_what_is_unmapped_is_looked_at_as_often_for_many_runs_as_for_one(keyed: bool, holds: str) -> None:
    salt = next(_numbers)

    @task
    def one() -> int:
        return 1

    @task(name=f"adding-{salt}", cache_key_fn=task_input_hash if keyed else None)
    def add(x: int, rows: Any) -> Any:
        return x + list.__getitem__(rows, 0)[0]

    @flow
    def mapping(many: int) -> Any:
        future = one.submit()
        future.result()
        Counted.looks = 0
        rows = Counted([[1 if holds == "data" else future], [2]])
        results = [each.result() for each in add.map(range(many), unmapped(rows))]
        return results, Counted.looks

    once = mapping(1)
    many = mapping(30)
    assert once[0] == [1]
    assert many == ([number + 1 for number in range(30)], once[1])


def test_a_mapped_run_and_a_call_with_the_same_arguments_have_one_key() -> None:
    salt = next(_numbers)
    calls: list[int] = []

    @task(name=f"same-{salt}", cache_key_fn=task_input_hash)
    def add(x: int, rows: Any) -> int:
        calls.append(x)
        return x + len(rows)

    @flow(name="one-key")
    def one_key() -> Any:
        rows = [{"id": number, "name": "x" * 20} for number in range(10_000)]
        mapped = [each.result() for each in add.map([1, 2], unmapped(rows))]
        called = [add(number, [dict(row) for row in rows]) for number in (1, 2)]
        return mapped, called

    assert one_key() == ([10_001, 10_002], [10_001, 10_002])
    assert sorted(calls) == [1, 2]


def test_what_is_unmapped_comes_from_upstream_for_every_run() -> None:
    @task
    def load() -> list[int]:
        return [1, 2]

    @task
    def add(x: int, rows: Any, *others: Any) -> Any:
        return x + rows[0][0], [other[0] for other in others]

    @flow(name="upstream-of-all")
    def mapping() -> Any:
        future = load.submit()
        whole = [future, quote(5)]
        futures = add.map([1, 2], unmapped(whole), unmapped([future, 3]), [[7], [8]])
        return [each.result() for each in futures]

    assert mapping() == [(2, [[1, 2], 7]), (3, [[1, 2], 8])]
    runs = task_runs("upstream-of-all")
    loaded = runs["load-0"].id
    for number in (0, 1):
        assert runs[f"add-{number}"].task_inputs["rows"] == (loaded,)
