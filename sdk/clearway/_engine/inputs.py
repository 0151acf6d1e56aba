"""Futures and states among the arguments of a call: finding them, and putting their results in their place.

They are looked for in lists, tuples, sets, dictionaries and dataclasses, however deep. What holds none is
passed on as it is, the same object.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from clearway.futures import Future
from clearway.states import State

Upstream: TypeAlias = Future[Any] | State[Any]

_ATOMS: frozenset[type] = frozenset(
    {int, float, str, bool, bytes, bytearray, complex, type(None), range, type, type(...)}
)


def find_upstreams(value: object) -> list[Upstream]:
    """Return the futures and states in ``value``, in the order in which they are found."""
    found: list[Upstream] = []
    if type(value) not in _ATOMS:
        _find(value, found, set())
    return found


def _find(value: object, found: list[Upstream], path: set[int]) -> None:
    if isinstance(value, (Future, State)):
        found.append(value)
        return
    children = _children(value)
    if children is None or _ATOMS.issuperset(map(type, children)) or id(value) in path:
        return
    path.add(id(value))
    for child in children:
        if type(child) not in _ATOMS:
            _find(child, found, path)
    path.discard(id(value))


def _children(value: object) -> Iterable[object] | None:
    if isinstance(value, (list, tuple, set, frozenset)):
        return value
    if isinstance(value, dict):
        return value.values()
    if hasattr(type(value), "__dataclass_fields__"):
        return list(_fields(value).values())
    return None


def _fields(value: object) -> dict[str, object]:
    names = type(value).__dataclass_fields__  # type: ignore[attr-defined]
    return {name: getattr(value, name) for name in names if hasattr(value, name)}


def replace_upstreams(value: Any, result_of: Callable[[Upstream], Any]) -> Any:
    """Return ``value`` with its futures and states replaced; containers that held one are copied."""
    return _replace(value, result_of, set())


def _replace(value: Any, result_of: Callable[[Upstream], Any], path: set[int]) -> Any:
    if type(value) in _ATOMS:
        return value
    if isinstance(value, (Future, State)):
        return result_of(value)
    children = _children(value)
    if children is None or _ATOMS.issuperset(map(type, children)) or id(value) in path:
        return value
    path.add(id(value))
    before = list(children)
    after = [_replace(child, result_of, path) for child in before]
    path.discard(id(value))
    if all(old is new for old, new in zip(before, after, strict=True)):
        return value
    return _rebuild(value, after)


def _rebuild(value: Any, children: list[Any]) -> Any:
    if isinstance(value, tuple):
        if hasattr(value, "_make"):  # a named tuple
            return value._make(children)
        return type(value)(children)
    if isinstance(value, (set, frozenset)):
        return type(value)(children)
    copied = copy.copy(value)
    if isinstance(value, list):
        copied[:] = children
    elif isinstance(value, dict):
        copied.update(zip(value, children, strict=True))
    else:
        for name, child in zip(_fields(value), children, strict=True):
            object.__setattr__(copied, name, child)  # frozen ones too: the copy is ours
    return copied
