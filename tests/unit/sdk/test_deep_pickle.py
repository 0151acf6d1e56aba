"""Pickles of what is nested deeper than Python's own pickle goes."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import enum
import pathlib
from dataclasses import dataclass
from typing import Any

import cloudpickle
import pytest

from clearway._base import deep_pickle
from clearway._execution.workers import pickling
from clearway._results import pickles


class Node:
    def __init__(self, value: Any) -> None:
        self.value = value
        self.before: Node | None = None
        self.after: Node | None = None


@dataclass(frozen=True, slots=True)
class Frozen:
    given: Any


class Colour(enum.Enum):
    RED = 1


class Numbered(list[int]):
    name = "none"


def flat(value: Any) -> Any:
    """Return a value that was pickled as if it were deep, and read back."""
    return cloudpickle.loads(cloudpickle.dumps(deep_pickle._Flat(value)))


@pytest.mark.parametrize(
    "value",
    [
        None,
        1,
        "text",
        b"",
        bytearray(b"a"),
        [],
        (),
        {},
        set(),
        [1, [2]],
        (1, (2,)),
        {"a": {1: [2]}},
        {1, (2,)},
        frozenset({1}),
        collections.OrderedDict(b=1, a=2),
        collections.Counter("aab"),
        collections.deque([1], 5),
        collections.defaultdict(list, a=[1]),
        dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        decimal.Decimal("1.5"),
        pathlib.PurePosixPath("a"),
        Frozen([1]),
        Colour.RED,
        range(3),
        int,
        len,
        flat,
        Numbered([1, 2]),
        1j,
    ],
)
def test_a_value_comes_back_equal(value: Any) -> None:
    got = flat(value)
    assert got == value
    assert type(got) is type(value)


def test_attributes_and_functions_come_back() -> None:
    numbered = Numbered([1])
    numbered.name = "one"
    assert flat(numbered).name == "one"
    assert flat(ValueError("a", 1)).args == ("a", 1)
    assert flat([lambda x: x + 1])[0](1) == 2


def test_what_is_shared_stays_shared_and_what_is_circular_stays_circular() -> None:
    inner = [1]
    one, other = flat([inner, inner])
    assert one is other
    ring: list[Any] = []
    ring.append((ring, {"ring": ring}))
    got = flat(ring)
    assert got[0][0] is got
    assert got[0][1]["ring"] is got
    around = (ring,)
    ring.append(around)
    assert (got := flat(around))[0][1] is got


@pytest.mark.parametrize("module", [pickles, pickling])
def test_depth_has_no_limit(module: Any) -> None:
    value: Any = 7
    for _ in range(50_000):
        value = [value]
    got = module.loads(module.dumps(value))
    for _ in range(50_000):
        (got,) = got
    assert got == 7


@pytest.mark.parametrize("module", [pickles, pickling])
def test_a_long_chain_in_both_directions_comes_back(module: Any) -> None:
    first = last = Node(0)
    for number in range(1, 5_000):
        following = Node(number)
        last.after, following.before = following, last
        last = following
    node = module.loads(module.dumps(first))
    values = []
    while node is not None:
        values.append(node.value)
        assert type(node) is Node
        assert node.after is None or node.after.before is node
        node = node.after
    assert values == list(range(5_000))


def test_what_cannot_be_pickled_says_so_however_deep_it_is() -> None:
    value: Any = (number for number in range(3))
    for _ in range(5_000):
        value = [value]
    with pytest.raises(TypeError, match="generator"):
        pickles.dumps(value)
