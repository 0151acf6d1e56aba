"""Pickles values that are nested deeper than Python's recursion limit, where ``pickle`` fails.

Without recursion, a value is turned into a flat list of instructions for a stack machine. The list is pickled
in place of the value; unpickling it executes the instructions, so the reader needs this module.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Generator
from pickle import PicklingError
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Final

from clearway._base import lazy_cloudpickle

(
    _LEAF,
    _KNOWN,
    _LIST,
    _DICT,
    _SET,
    _TUPLE,
    _FROZEN,
    _CALL,
    _EXTEND,
    _ITEMS,
    _ADD,
    _STATE,
    _SET_STATE,
    _DROP,
) = range(14)
_LEAVES: Final = (
    type(None), bool, int, float, complex, str, bytes, bytearray,
    type, FunctionType, BuiltinFunctionType, ModuleType,
)  # fmt: skip
_PROTOCOL: Final = 4  # protocol 5 would allow buffers outside of the pickle


def dumps(value: Any, shallow: Callable[[Any], bytes]) -> bytes:
    """Return a value as a pickle, however deeply it is nested.

    Args:
        value: The value.
        shallow: Pickles values that are not nested deeply, such as ``cloudpickle.dumps``; it is tried first.

    Raises:
        Exception: Whatever the value's classes raise when pickled.
    """
    try:
        return shallow(value)
    except RecursionError:
        pass
    except PicklingError as error:  # cloudpickle's way to report it
        if not isinstance(error.__cause__, RecursionError):
            raise
    return shallow(_Flat(value))


class _Flat:
    """A value as a flat list of instructions, with the leaf objects that they refer to."""

    def __init__(self, value: Any) -> None:
        self._steps = array("q")
        self._leaves: list[Any] = []
        self._numbers: dict[int, int] = {}
        self._kept: list[Any] = []  # keeps objects alive, so that their ids are not reused
        todo = [self._write(value)]
        while todo:
            for inner in todo[-1]:
                todo.append(self._write(inner))
                break
            else:
                todo.pop()

    def __reduce__(self) -> tuple[Any, ...]:
        return rebuilt, (self._steps, self._leaves)

    def _step(self, kind: int, number: int = 0) -> None:
        self._steps.extend((kind, number))

    def _note(self, value: Any) -> None:
        """Number the object on top of the stack, so that later instructions can refer to it."""
        self._numbers[id(value)] = len(self._numbers)

    def _write(self, value: Any) -> Generator[Any, None, None]:
        """Write the instructions that push a value; yields each inner value that must be written first."""
        kind = type(value)
        number = self._numbers.get(id(value))
        if number is not None:
            self._step(_KNOWN, number)
        elif isinstance(value, _LEAVES) and (kind in _LEAVES or isinstance(value, type)):
            self._leaf(value)
        elif kind is list:
            self._begin(value, _LIST)
            yield from value
            self._step(_EXTEND, len(value))
        elif kind is dict:
            self._begin(value, _DICT)
            for key, item in value.items():
                yield key
                yield item
            self._step(_ITEMS, len(value))
        elif kind is set:
            self._begin(value, _SET)
            yield from value
            self._step(_ADD, len(value))
        elif kind is tuple or kind is frozenset:
            yield from value
            number = self._numbers.get(id(value))
            if number is None:
                self._begin(value, _TUPLE if kind is tuple else _FROZEN, len(value))
            else:  # it contains itself through another object
                self._step(_DROP, len(value))
                self._step(_KNOWN, number)
        else:
            yield from self._write_object(value)

    def _leaf(self, value: Any) -> None:
        self._step(_LEAF, len(self._leaves))
        self._leaves.append(value)

    def _begin(self, value: Any, kind: int, number: int = 0) -> None:
        self._step(kind, number)
        self._kept.append(value)
        self._note(value)

    def _write_object(self, value: Any) -> Generator[Any, None, None]:
        reducer = lazy_cloudpickle.reducer_of(type(value))
        made = value.__reduce_ex__(_PROTOCOL) if reducer is None else reducer(value)
        self._kept.append(made)
        if isinstance(made, str):
            self._leaf(value)
            return
        function, arguments, state, items, pairs, set_state = (*made, None, None, None, None)[:6]
        yield function
        yield arguments
        number = self._numbers.get(id(value))
        if number is not None:
            self._step(_DROP, 2)
            self._step(_KNOWN, number)
            return
        self._begin(value, _CALL)
        if items is not None:
            items = list(items)
            self._kept.append(items)
            yield from items
            self._step(_EXTEND, len(items))
        if pairs is not None:
            pairs = list(pairs)
            self._kept.append(pairs)
            for key, item in pairs:
                yield key
                yield item
            self._step(_ITEMS, len(pairs))
        if state is not None:
            if set_state is not None:
                yield set_state
            yield state
            self._step(_STATE if set_state is None else _SET_STATE)


def rebuilt(steps: array[int], leaves: list[Any]) -> Any:  # noqa: C901 - a branch for each kind of step
    """Execute the instructions in a pickle and return the value."""
    stack: list[Any] = []
    known: list[Any] = []
    for kind, number in zip(steps[::2], steps[1::2], strict=True):
        taken = stack[len(stack) - number :] if kind in _TAKE else []
        if kind == _LEAF:
            stack.append(leaves[number])
        elif kind == _KNOWN:
            stack.append(known[number])
        elif kind in _MAKE:
            if kind in _TAKE:
                del stack[len(stack) - number :]
            stack.append(_MAKE[kind](taken))
            known.append(stack[-1])
        elif kind == _CALL:
            arguments = stack.pop()
            stack.append(stack.pop()(*arguments))
            known.append(stack[-1])
        elif kind == _ITEMS:
            given = stack[len(stack) - 2 * number :] if number else []
            del stack[len(stack) - 2 * number :]
            for key, item in zip(given[::2], given[1::2], strict=True):
                stack[-1][key] = item
        elif kind == _STATE:
            _set_state(stack[-2], stack.pop())
        elif kind == _SET_STATE:
            state = stack.pop()
            stack.pop()(stack[-1], state)
        else:
            del stack[len(stack) - number :]
            if kind != _DROP:
                _fill(stack[-1], taken)
    return stack[0]


_MAKE: Final[dict[int, Callable[[list[Any]], Any]]] = {
    _LIST: lambda _: [],
    _DICT: lambda _: {},
    _SET: lambda _: set(),
    _TUPLE: tuple,
    _FROZEN: frozenset,
}
_TAKE: Final = frozenset({_TUPLE, _FROZEN, _EXTEND, _ADD, _DROP})


def _fill(value: Any, items: list[Any]) -> None:
    if isinstance(value, set):
        value.update(items)
    elif hasattr(value, "extend"):
        value.extend(items)
    else:
        for item in items:
            value.append(item)


def _set_state(value: Any, state: Any) -> None:
    """Set an object's state as ``pickle`` does."""
    own = getattr(value, "__setstate__", None)
    if own is not None:
        own(state)
        return
    slots = None
    if isinstance(state, tuple) and len(state) == 2:  # noqa: PLR2004 - attributes and slots
        state, slots = state
    for name, item in (state or {}).items():
        value.__dict__[sys.intern(name) if type(name) is str else name] = item
    for name, item in (slots or {}).items():
        setattr(value, name, item)
