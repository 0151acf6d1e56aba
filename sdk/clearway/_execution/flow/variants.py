"""Telling apart the functions of tasks that have one key, such as those that a factory makes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from threading import Lock
from types import CellType, FunctionType, MethodType
from typing import Any, Final

from clearway._canonical.digest import arguments_digest

_EMPTY: Final = "empty"
_OPEN: Final = "open"  # a variable that leads back to the function that is being looked at


class _Itself:
    """An object that cannot be compared, and so equals itself only."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


class Variants:
    """What the functions of one flow run's tasks and subflows are, as they were when first called.

    Two function objects are the same variant if their code is, and what they are bound to: the arguments of a
    partial, the instance of a method, the variables of a closure. A variable that they share counts as equal,
    whatever it holds; others are compared by what they held when first seen.
    """

    __slots__ = ("_cells", "_functions", "_guard")

    def __init__(self) -> None:
        self._guard = Lock()
        # Each with the object itself, whose id no other can then have.
        self._functions: dict[int, tuple[Any, Hashable]] = {}
        self._cells: dict[int, tuple[CellType, Hashable]] = {}

    def of(self, function: Callable[..., Any]) -> Hashable:
        """Return what is equal for function objects of the same variant, and for no others."""
        known = self._functions.get(id(function))
        if known is None:
            with self._guard:
                known = self._functions.setdefault(id(function), (function, self._parts(function)))
        return known[1]

    def _parts(self, function: Any) -> Hashable:
        parts: list[Hashable] = []
        while True:
            if isinstance(function, functools.partial):
                bound: list[Any] = [*function.args, *sorted(function.keywords.items())]
                parts.append((type(function), *map(self._content, bound)))
                function = function.func
            elif type(function) is MethodType:
                parts.append(self._content(function.__self__))
                function = function.__func__
            elif type(function) is FunctionType:
                parts.extend((function.__code__, *map(self._cell, function.__closure__ or ())))
                return tuple(parts)
            else:
                parts.append(self._content(function))
                return tuple(parts)

    def _cell(self, cell: CellType) -> Hashable:
        known = self._cells.get(id(cell))
        if known is None:
            self._cells[id(cell)] = cell, _OPEN
            try:
                content = self._content(cell.cell_contents)
            except ValueError:
                content = _EMPTY
            known = self._cells[id(cell)] = cell, content
        return known[1]

    def _content(self, value: Any) -> Hashable:
        if type(value) is FunctionType:
            return self._parts(value)
        digest = arguments_digest({"": value}).digest
        return digest or _Itself(value)
