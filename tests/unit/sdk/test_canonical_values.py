"""Values that a function can tell apart have different canonical forms, and equal ones have one."""

from __future__ import annotations

import collections
import contextvars
import functools
import io
import itertools
import math
import os
import socket
import struct
import subprocess
import sys
import threading
import types
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clearway._canonical.document import Counting
from clearway._canonical.graph import text_of
from clearway._definition.canonical import canonical_json
from unit.sdk.distinct_values import (
    MAKERS,
    Frozen,
    Model,
    Pair,
    Plain,
    Point,
    Slotted,
    adder,
    mutual,
    nested,
    ring,
)


def test_values_that_a_function_can_tell_apart_have_different_forms() -> None:
    forms: dict[bytes, str] = {}
    for name, make in MAKERS.items():
        form = canonical_json(make())
        assert forms.setdefault(form, name) == name, form
    assert len(forms) == len(MAKERS)


@pytest.mark.parametrize("name", MAKERS)
def test_a_value_that_is_made_again_has_the_same_form(name: str) -> None:
    assert canonical_json(MAKERS[name]()) == canonical_json(MAKERS[name]())


@pytest.mark.parametrize("name", [name for name in MAKERS if "ring" not in name and "mutual" not in name])
def test_one_object_twice_is_as_good_as_two_that_are_equal(name: str) -> None:
    value = MAKERS[name]()
    assert canonical_json([value, {"a": value}]) == canonical_json([value, {"a": MAKERS[name]()}])


def test_of_objects_that_hold_themselves_it_counts_which_is_which() -> None:
    one = ring(1)
    assert canonical_json([one, one]) != canonical_json([one, ring(1)])
    assert canonical_json([one, one]) == canonical_json([two := ring(1), two])


SCRIPT = """
from clearway._definition.canonical import canonical_json
from unit.sdk.distinct_values import MAKERS
for name, make in MAKERS.items():
    print(name, canonical_json(make()).hex())
"""


def test_the_forms_are_the_same_in_every_process() -> None:
    root = Path(__file__).parents[3]
    paths = os.pathsep.join([str(root / "tests"), str(root)])
    printed = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": paths},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(printed) == 1
    assert printed.pop().count("\n") == len(MAKERS)


# A property over nested values. What decides whether two can be told apart knows nothing of canonical forms.

ATOMS = [
    None,
    False,
    True,
    0,
    1,
    0.0,
    -0.0,
    1.0,
    0.5,
    math.nan,
    "",
    "0",
    "a",
    "$a",
    "\ud800",
    "é",
    b"",
    b"0",
    0j,
    (),
    2**60,
    *(MAKERS[name]() for name in ("RED", "Berlin", "offset", "naive", "folded", "Decimal", "Whole", "Text")),
]
HASHABLE = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: (
        st.tuples(inner)
        | st.frozensets(inner, max_size=2)
        | inner.map(Frozen)
        | st.builds(Pair, inner, inner)
    ),
    max_leaves=3,
)
VALUES = st.recursive(
    HASHABLE,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.sets(HASHABLE, max_size=3)
        | st.dictionaries(HASHABLE, inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "$a", "é"]), inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2).map(collections.OrderedDict)
        | st.dictionaries(st.sampled_from(["a", "b"]), inner).map(
            lambda state: types.SimpleNamespace(**state)
        )
        | st.dictionaries(st.sampled_from(["a", "b"]), inner).map(lambda state: Plain(**state))
        | st.dictionaries(st.sampled_from(["a", "b"]), inner).map(lambda state: Slotted(**state))
        | st.lists(inner, max_size=2).map(collections.deque)
        | st.builds(Point, inner, inner)
        | st.builds(Model, x=inner)
        | inner.map(lambda value: functools.partial(print, value))
        | inner.map(adder)
    ),
    max_leaves=6,
)


def told_apart(one: Any, other: Any) -> bool:  # noqa: C901, PLR0911 - one for each kind
    """Return whether a function that looks at everything finds a difference."""
    if type(one) is not type(other):
        return True
    if isinstance(one, float):
        return struct.pack(">d", one) != struct.pack(">d", other)
    if isinstance(one, complex):
        return told_apart([one.real, one.imag], [other.real, other.imag])
    if isinstance(one, (list, tuple, collections.deque)):
        return len(one) != len(other) or any(map(told_apart, one, other))
    if isinstance(one, collections.OrderedDict):
        return told_apart(list(one.items()), list(other.items()))
    if isinstance(one, dict):
        return different_sets(list(one.items()), list(other.items()))
    if isinstance(one, (set, frozenset)):
        return different_sets(list(one), list(other))
    if isinstance(one, functools.partial):
        return told_apart(one.args, other.args)
    if isinstance(one, types.FunctionType):
        return told_apart(one.__closure__[0].cell_contents, other.__closure__[0].cell_contents)  # type: ignore[index]
    if isinstance(one, (types.SimpleNamespace, Plain, Point, Model)):
        return told_apart(vars(one), vars(other))
    if isinstance(one, (Slotted, Frozen)):
        return told_apart(slots_of(one), slots_of(other))
    if hasattr(one, "tzinfo"):
        zones = [getattr(each.tzinfo, "key", repr(each.tzinfo)) for each in (one, other)]
        return (one.replace(tzinfo=None), one.fold, zones[0]) != (
            other.replace(tzinfo=None),
            other.fold,
            zones[1],
        )
    return bool(one != other)


def different_sets(one: list[Any], other: list[Any]) -> bool:
    """Return whether what is unordered has other items: each is matched with one of the other's."""
    left = list(other)
    for item in one:
        match = next((place for place, each in enumerate(left) if not told_apart(item, each)), None)
        if match is None:
            return True
        del left[match]
    return bool(left)


def slots_of(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in type(value).__slots__ if hasattr(value, name)}


@settings(deadline=None)  # on a busy machine, one may take long
@given(VALUES, VALUES)
def test_two_values_have_one_form_exactly_if_they_cannot_be_told_apart(one: Any, other: Any) -> None:
    assert (canonical_json(one) != canonical_json(other)) == told_apart(one, other)


@settings(deadline=None)  # on a busy machine, one may take long
@given(VALUES)
def test_both_ways_to_make_a_text_make_the_same(value: Any) -> None:
    assert canonical_json(value) == text_of(value, Counting())
    shared = [value, (value, value)]
    assert canonical_json(shared) == text_of(shared, Counting())


# What has no content.


def coroutine() -> Any:
    async def later() -> None: ...

    made = later()
    made.close()
    return made


def berlin_from_file() -> ZoneInfo:
    """Return a time zone that was read from bytes, and so has no name."""
    header = b"TZif" + b"\0" * 16 + struct.pack(">6l", 0, 0, 0, 0, 1, 4)
    return ZoneInfo.from_file(io.BytesIO(header + struct.pack(">lbb", 3600, 0, 0) + b"CET\0"))


def twins() -> Plain:
    """Return an object with a set of two others that differ in nothing, and know it."""
    parent = Plain()
    parent.children = {Plain(parent=parent), Plain(parent=parent)}  # type: ignore[attr-defined]
    return parent


REFUSED: dict[str, Callable[[], Any]] = {
    "generator": lambda: (number for number in range(3)),
    "coroutine": coroutine,
    "lock": threading.Lock,
    "event": threading.Event,
    "weak reference": lambda: weakref.ref(Plain),
    "weak dictionary": weakref.WeakValueDictionary,
    "file": lambda: Path(os.devnull).open(encoding="utf-8"),  # noqa: SIM115 - the test closes it
    "socket": socket.socket,
    "count": itertools.count,
    "context": contextvars.copy_context,
    "zone of a file": berlin_from_file,
    "twins": twins,
    "within": lambda: [{"a": (threading.Lock(),)}],
    "local type variable": lambda: __import__("typing").TypeVar("T"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_what_has_no_content_has_no_form(name: str) -> None:
    value = REFUSED[name]()
    with pytest.raises(TypeError):
        canonical_json(value)
    getattr(value, "close", lambda: None)()


# Equal content.


def test_what_was_computed_of_an_object_is_no_part_of_it() -> None:
    one, other = Plain(a=1), Plain(a=1)
    assert one.computed == 7
    assert canonical_json(one) == canonical_json(other)


def test_shared_texts_are_as_good_as_equal_ones() -> None:
    names = [f"name {number}" for number in (1, 1, 1)]
    assert names[0] is not names[1]
    one, other = Plain(a=names[0], b=names[0]), Plain(a=names[1], b=names[2])
    assert canonical_json(one) == canonical_json(other)


def test_fields_that_were_not_set_are_told_from_those_that_were() -> None:
    assert canonical_json(Model()) != canonical_json(Model(x=0))


def test_a_circle_has_one_form_wherever_its_dictionaries_begin() -> None:
    one, other = mutual(1, 2), mutual(1, 2)
    other.__dict__ = dict(reversed(other.__dict__.items()))
    assert canonical_json(one) == canonical_json(other)
    assert canonical_json(one) != canonical_json(one.other)


def test_a_set_in_a_circle_has_one_form_in_every_order() -> None:
    def family(names: list[str]) -> Plain:
        parent = Plain(name="parent")
        parent.children = {Plain(name=name, parent=parent) for name in names}  # type: ignore[attr-defined]
        return parent

    names = [f"child {number}" for number in range(20)]
    assert canonical_json(family(names)) == canonical_json(family(names[::-1]))
    assert canonical_json(family(names)) != canonical_json(family([*names[1:], "other"]))


# Time that is linear in the number of objects. What is not would not end.


def doubled(levels: int) -> list[Any]:
    value: list[Any] = [1]
    for _ in range(levels):
        value = [value, value]
    return value


@pytest.mark.parametrize("levels", [1, 15, 25, 1_000, 20_000])
def test_what_is_there_many_times_is_looked_at_once(levels: int) -> None:
    value = doubled(levels)
    assert canonical_json(value) == canonical_json(doubled(levels))
    assert canonical_json(value) != canonical_json(doubled(levels + 1))


def test_sharing_does_not_count() -> None:
    assert canonical_json(doubled(12)) == canonical_json([doubled(11), doubled(11)])
    assert canonical_json(doubled(200)) == canonical_json([doubled(199), doubled(199)])


def test_wide_lists_of_one_list_are_looked_at_once() -> None:
    value: list[Any] = [1]
    for _ in range(6):
        value = [value] * 1_000
    assert canonical_json(value) == canonical_json([value[0]] * 1_000)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda value: [value],
        lambda value: {"a": value},
        lambda value: {1: value},
        lambda value: (value,),
        Point,
        Plain,
    ],
)
def test_depth_has_no_limit(wrap: Any) -> None:
    def made(bottom: Any) -> Any:
        value = bottom
        for _ in range(20_000):
            value = wrap(value) if wrap is not Plain else Plain(a=value)
        return value

    assert canonical_json(made(1)) == canonical_json(made(1))
    assert canonical_json(made(1)) != canonical_json(made(2))


def test_trees_with_parents_are_walked_once() -> None:
    def tree(leaf: int) -> Plain:
        nodes = [Plain(parent=None, children=[], number=0)]
        for number in range(1, 5_000):
            parent = nodes[number // 3]
            nodes.append(Plain(parent=parent, children=[], number=number if number < 4_999 else leaf))
            parent.children.append(nodes[-1])  # type: ignore[attr-defined]
        return nodes[0]

    assert canonical_json(tree(1)) == canonical_json(tree(1))
    assert canonical_json(tree(1)) != canonical_json(tree(2))


def test_a_value_is_looked_at_from_within_a_deep_call_too() -> None:
    def within(depth: int) -> bytes:
        return within(depth - 1) if depth else canonical_json(nested(90))

    frame: types.FrameType | None = sys._getframe()
    used = 0
    while frame is not None:
        used, frame = used + 1, frame.f_back
    assert within(sys.getrecursionlimit() - used - 60) == canonical_json(nested(90))
