"""Which task run made an object, so that a result which is passed on as plain data is known as an input.

An object is known by its identity, and only while it is the same object: by a weak reference where its class
allows one, and otherwise by holding it, as long as somebody else does too.
"""

from __future__ import annotations

import weakref
from enum import Enum
from sys import getrefcount
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Final

from clearway.results import StoredResult

_MAX_WEAK: Final = 10_000
_MAX_HELD: Final = 256
_MAX_SUBFLOWS: Final = 10_000
_MAX_MEMBERS: Final = 16  # of a result, so that noting a large one costs no more than a small one
_EVERY: Final = 8
# What is shared by those who have nothing to do with each other, and small data, whose identity says nothing.
_UNTRACKED: Final = frozenset(
    {
        int, float, complex, str, bool, bytes, bytearray, range,
        type(None), type(...), type(NotImplemented),
        type, ModuleType, FunctionType, BuiltinFunctionType, StoredResult,
    }
)  # fmt: skip


class Provenance:
    """The makers of the results of one attempt of a flow run, as far as they can be told.

    All threads may use it without a lock: nothing is done to a dictionary but single steps, and who comes
    second finds nothing to do.
    """

    __slots__ = ("_before", "_held", "_recent", "_subflows", "_turn", "_weak")

    def __init__(self) -> None:
        self._weak: dict[int, tuple[weakref.ref[Any], str]] = {}
        self._held: dict[int, tuple[Any, str]] = {}
        self._subflows: dict[str, str] = {}
        self._recent: list[int] = []
        self._before: list[int] = []
        self._turn = 0

    def __bool__(self) -> bool:
        return bool(self._weak or self._held)

    def note(self, value: Any, task_run_id: str) -> None:
        """Note the result of a task run, and what it holds directly, if that is little."""
        if type(value) in _UNTRACKED or not _is_tracked(value):
            return
        held: list[int] = []
        for member in _members(value):
            if type(member) not in _UNTRACKED and _is_tracked(member):
                self._note(member, task_run_id, held)
        self._note(value, task_run_id, held)
        if held:
            self._let_go()
            self._before, self._recent = self._recent, held

    def note_subflow(self, flow_run_id: str, task_run_id: str) -> None:
        """Note the task run that stands for a subflow."""
        self._subflows[flow_run_id] = task_run_id
        _bound(self._subflows, _MAX_SUBFLOWS)

    def of(self, value: object) -> str:
        """Return the task run that made ``value``; empty where that is not known."""
        weak = self._weak.get(id(value))
        if weak is not None and weak[0]() is value:
            return weak[1]
        held = self._held.get(id(value))
        return "" if held is None else held[1]

    def of_subflow(self, flow_run_id: str) -> str:
        """Return the task run that stands for a subflow; empty where that is not known."""
        return self._subflows.get(flow_run_id, "")

    def _note(self, value: Any, task_run_id: str, held: list[int]) -> None:
        key = id(value)
        if type(value).__weakrefoffset__:
            self._weak[key] = (weakref.ref(value), task_run_id)
            _bound(self._weak, _MAX_WEAK)
        else:
            self._held[key] = (value, task_run_id)
            held.append(key)
            _bound(self._held, _MAX_HELD)

    def _let_go(self) -> None:
        """Let go of what nobody else holds: the last two results, as a loop leaves them, and the oldest.

        The result before this one may still be held by the variable that this one is assigned to next.
        """
        for key in (*reversed(self._recent), *reversed(self._before)):  # what holds others comes after them
            entry = self._held.get(key)
            if entry is not None and _references(entry) <= _NOBODY_ELSE:
                self._held.pop(key, None)
        self._turn += 1
        if self._turn % _EVERY == 0:
            for key in list(self._held)[:_EVERY]:
                entry = self._held.pop(key, None)
                if entry is not None and _references(entry) > _NOBODY_ELSE:
                    self._held[key] = entry  # looked at again when all others were


def _members(value: Any) -> list[Any]:
    kind = type(value)  # of a subclass, going over it may run a user's code
    if kind is dict:
        return list(value.values()) if len(value) <= _MAX_MEMBERS else []
    if kind is list or kind is tuple or kind is set or kind is frozenset:
        return list(value) if len(value) <= _MAX_MEMBERS else []
    return []


def _is_tracked(value: Any) -> bool:
    kind = type(value)
    if kind is tuple or kind is frozenset:  # there is only one empty one
        return bool(value)
    return not issubclass(kind, (Enum, type))


def _bound(entries: dict[Any, Any], most: int) -> None:
    if len(entries) > most:
        for key in list(entries)[: most // 8]:
            entries.pop(key, None)


def _references(entry: tuple[Any, str]) -> int:
    return getrefcount(entry[0])


_NOBODY_ELSE: Final = _references(([], ""))  # what counting itself adds differs between Python versions

NO_PROVENANCE: Final = Provenance()
