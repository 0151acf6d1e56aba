"""Estimates the length of a value's ``repr`` without computing it."""

from __future__ import annotations

import reprlib
from collections.abc import Collection, Iterator
from typing import Any, Final

_MOST: Final = 2**20
_MAX_TEXT: Final = 2_000
_FEW: Final = 8


def extent(value: Any, most: int = _MOST) -> int:
    """Return roughly how many characters a value's ``repr`` has; ``most + 1`` if more than ``most``.

    The contents of lists, tuples, sets, dicts and dataclasses are counted once for each reference, because
    ``repr`` repeats them: a list that contains one list twice, which again contains one list twice, and so
    on, is long. So is a value that contains itself, unless it is small.
    """
    totals: dict[int, int] = {}  # the length of each container by id; 0 while it is being measured
    kept: list[Any] = []
    looked_at = 0
    circular = False
    todo: list[_Open] = []

    def enter(each: Any) -> int:
        """Return an object's length, or 0 if it must be measured first; in that case, start measuring it."""
        nonlocal looked_at, circular
        kind = type(each)
        if kind is str or kind is bytes:
            return 1 + len(each)
        if id(each) in totals:
            circular |= totals[id(each)] == 0
            return totals[id(each)] or 1
        children = _children(each)
        if children is None:
            return 1
        totals[id(each)] = 0
        kept.append(each)
        looked_at += len(children)
        todo.append(_Open(id(each), iter(children)))
        return 0

    whole = enter(value)
    while todo:
        here = todo[-1]
        for child in here.rest:
            size = enter(child)
            here.total += size
            looked_at += size
            if not size:
                break
        else:
            todo.pop()
            whole = totals[here.number] = here.total
            if todo:
                todo[-1].total += whole
        if looked_at > most or whole > most:
            return most + 1
    return most + 1 if circular and len(totals) > _FEW else whole


class _Open:
    """A container that is being measured, with the length of the items measured so far."""

    __slots__ = ("number", "rest", "total")

    def __init__(self, number: int, rest: Iterator[Any]) -> None:
        self.number = number
        self.rest = rest
        self.total = 1


def is_long(value: Any) -> bool:
    """Return True if a value's ``repr`` must not be computed, because it would be huge or endless."""
    return extent(value) > _MOST


def outline(value: Any) -> str:
    """Return a short text for a value that ``is_long``: its first items and its type."""
    return f"{_outline.repr(value)[:_MAX_TEXT]} (a very long {type(value).__name__})"


def _children(value: Any) -> Collection[Any] | None:
    if isinstance(value, (list, tuple, set, frozenset)):
        return value
    if isinstance(value, dict):
        return [*value, *value.values()]
    fields = getattr(type(value), "__dataclass_fields__", None)
    if fields is None:
        return None
    return [getattr(value, name, None) for name, field in fields.items() if field.repr]


class _Outline(reprlib.Repr):
    """Shows the first items of containers, a few levels deep, and only the names of dataclasses."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3

    def repr_instance(self, x: Any, level: int) -> str:
        """Return a text for an object that is not a built-in container."""
        return f"<{type(x).__name__}>" if _children(x) is not None else super().repr_instance(x, level)


_outline: Final = _Outline()
