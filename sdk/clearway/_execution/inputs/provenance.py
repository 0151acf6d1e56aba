"""Which task run produced an object, so that a result passed on as plain data is recorded as an input.

Objects are recognized by identity. They are tracked by a weak reference if their class allows it.
Otherwise they are held, for as long as other code refers to them too.
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
_MAX_MEMBERS: Final = 16  # of a result; bounds the cost of noting a large one
_EVERY: Final = 8
# Values that unrelated code shares, such as small integers, so that identity proves nothing.
_UNTRACKED: Final = frozenset(
    {
        int, float, complex, str, bool, bytes, bytearray, range,
        type(None), type(...), type(NotImplemented),
        type, ModuleType, FunctionType, BuiltinFunctionType, StoredResult,
    }
)  # fmt: skip


class Provenance:
    """Which task runs produced the results of one attempt of a flow run, as far as can be known.

    All threads may use it without a lock: every access to a dictionary is a single atomic operation, and a
    thread that comes second finds nothing left to do.
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
        """Note the task run that produced a result, and its members if they are few."""
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
        """Note the task run that represents a subflow in its parent."""
        self._subflows[flow_run_id] = task_run_id
        _bound(self._subflows, _MAX_SUBFLOWS)

    def of(self, value: object) -> str:
        """Return the id of the task run that produced ``value``; empty if not known."""
        weak = self._weak.get(id(value))
        if weak is not None and weak[0]() is value:
            return weak[1]
        held = self._held.get(id(value))
        return "" if held is None else held[1]

    def of_subflow(self, flow_run_id: str) -> str:
        """Return the id of the task run that represents a subflow; empty if not known."""
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
        """Release results that no other code refers to: the last two, and a few of the oldest.

        The last two, since in a loop the previous result is held by its variable until the next assignment.
        """
        for key in (*reversed(self._recent), *reversed(self._before)):  # containers before their members
            entry = self._held.get(key)
            if entry is not None and _references(entry) <= _NOBODY_ELSE:
                self._held.pop(key, None)
        self._turn += 1
        if self._turn % _EVERY == 0:
            for key in list(self._held)[:_EVERY]:
                entry = self._held.pop(key, None)
                if entry is not None and _references(entry) > _NOBODY_ELSE:
                    self._held[key] = entry  # checked again after all the others


def _members(value: Any) -> list[Any]:
    kind = type(value)  # exact types only: iterating over a subclass may run user code
    if kind is dict:
        return list(value.values()) if len(value) <= _MAX_MEMBERS else []
    if kind is list or kind is tuple or kind is set or kind is frozenset:
        return list(value) if len(value) <= _MAX_MEMBERS else []
    return []


def _is_tracked(value: Any) -> bool:
    kind = type(value)
    if kind is tuple or kind is frozenset:  # the empty one is a singleton
        return bool(value)
    return not issubclass(kind, (Enum, type))


def _bound(entries: dict[Any, Any], most: int) -> None:
    if len(entries) > most:
        for key in list(entries)[: most // 8]:
            entries.pop(key, None)


def _references(entry: tuple[Any, str]) -> int:
    return getrefcount(entry[0])


_NOBODY_ELSE: Final = _references(([], ""))  # how many references the call adds varies by Python version

NO_PROVENANCE: Final = Provenance()
