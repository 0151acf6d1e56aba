"""The shapes of instances: enums, paths, tuples, dataclasses, models; of all others, from their pickles."""

from __future__ import annotations

import copyreg
import dataclasses
import functools
import pickle
import types
from collections import OrderedDict, deque
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, Final
from weakref import WeakKeyDictionary, WeakSet

from clearway._canonical.names import full_name, is_importable, lookup, reference
from clearway._canonical.shapes import Context, Shape, UndigestibleError

# Instances of these have content that is not an attribute, so a derived dataclass has more than fields.
_WITH_CONTENT: Final = (
    BaseException, bytearray, bytes, complex, deque, dict, float, frozenset, int, list, set, str, tuple,
)  # fmt: skip
_CONCRETE: Final = type(Path())
_CALLS: Final = (type, types.FunctionType, types.BuiltinFunctionType)
_PROTOCOL: Final = 4
_computed: Final[WeakKeyDictionary[type, tuple[str, ...]]] = WeakKeyDictionary()


def enum_member(value: Any, _: Context) -> Shape:
    """Return the shape of an enum member: its name, or for a flag without a name its value."""
    name = value.name
    return "$enum", [reference(type(value)), value.value if name is None else name], False


def path(value: PurePath, context: Context) -> Shape:
    """Return the shape of a path: its text, and its kind if it is not ``PurePosixPath``."""
    kind = type(value)
    if kind is PurePosixPath:
        return "$path", str(value), False
    if kind is _CONCRETE or kind.__module__.partition(".")[0] == "pathlib":
        return "$path", [kind.__name__, str(value)], False
    return reduced(value, context)


def named_tuple(value: Any, context: Context) -> Shape:
    """Return the shape of a named tuple: its class and its items."""
    if getattr(value, "__dict__", None):  # a subclass may have attributes
        return reduced(value, context)
    return "$namedtuple", [reference(type(value)), list(value)], False


def set_like(value: Any, _: Context) -> Shape:
    """Return the shape of an instance of a subclass of ``set`` or ``frozenset``, or of a ``WeakSet``."""
    state = {} if isinstance(value, WeakSet) else _attributes(value)
    return "$object", [reference(type(value)), frozenset(value), state], False


def dataclass_instance(value: Any, context: Context) -> Shape:
    """Return the shape of a dataclass instance: its fields and any other attributes."""
    kind = type(value)
    if issubclass(kind, _WITH_CONTENT):
        return reduced(value, context)
    names = [field.name for field in dataclasses.fields(value)]
    fields = {name: getattr(value, name) for name in names if hasattr(value, name)}
    return "$object", [reference(kind), {**_attributes(value), **fields}], False


def model(value: Any, _: Context) -> Shape:
    """Return the shape of a pydantic model: its fields, its private attributes, and which fields were set."""
    kind = type(value)
    fields = {name: value.__dict__[name] for name in kind.model_fields if name in value.__dict__}
    fields |= getattr(value, "__pydantic_extra__", None) or {}
    private = getattr(value, "__pydantic_private__", None) or {}
    unset = sorted(fields.keys() - value.model_fields_set)
    more = [{"private": private, "unset": unset}] if private or unset else []
    return "$object", [reference(kind), fields, *more], False


def _attributes(value: Any) -> dict[str, Any]:
    """Return an instance's attributes, without the cached values of ``functools.cached_property``."""
    kind = type(value)
    found = dict(getattr(value, "__dict__", None) or {})
    for name in getattr(kind, "__slotnames__", None) or copyreg._slotnames(kind):  # type: ignore[attr-defined]  # noqa: SLF001 - as pickling does
        if hasattr(value, name):
            found[name] = getattr(value, name)
    return _without_computed(kind, found)


def _without_computed(kind: type, attributes: dict[str, Any]) -> dict[str, Any]:
    names = _computed.get(kind)
    if names is None:
        members = [item for base in kind.__mro__ for item in vars(base).items()]
        names = tuple(name for name, member in members if isinstance(member, functools.cached_property))
        _computed[kind] = names
    for name in names:
        attributes.pop(name, None)
    return attributes


def reduced(value: Any, context: Context) -> Shape:  # noqa: ARG001 - the signature of all shape functions
    """Return the shape of any other object: its class and state, as ``__reduce_ex__`` returns them.

    Raises:
        UndigestibleError: The object is an iterator, or its pickle is a name that refers to another object.
        Exception: Whatever the object's own ``__reduce__`` or ``__getstate__`` raised.
    """
    kind = type(value)
    if kind.__module__ == "itertools":
        raise UndigestibleError(f"{kind.__name__} is an iterator")
    reducer = copyreg.dispatch_table.get(kind)
    made = value.__reduce_ex__(_PROTOCOL) if reducer is None else reducer(value)
    if isinstance(made, str):
        return "$global", _global_name(value, made), False
    function, args, state, items, pairs = (*made, None, None, None)[:5]
    if function is copyreg.__newobj__:  # type: ignore[attr-defined]
        function, *args = args
    elif function is copyreg.__newobj_ex__:  # type: ignore[attr-defined]
        function, args, keywords = args
        args = [*args, keywords]
    args = list(args)
    if state is not None and getattr(kind, "__getstate__", None) is getattr(object, "__getstate__", None):
        state = _computed_aside(kind, state)
    contents: list[Any] = []
    if items is not None:
        contents.append(list(items))
    if pairs is not None:
        pairs = list(pairs)
        contents.append([list(pair) for pair in pairs] if issubclass(kind, OrderedDict) else dict(pairs))
    called = _called(function)
    if function is not kind:
        return "$reduce", [called, args, state, *contents], False
    if not args and not contents:
        return "$object", [called, {} if state is None else state], False
    return "$object", [called, {} if state is None else state, args, *contents], False


def _computed_aside(kind: type, state: Any) -> Any:
    if type(state) is dict:
        return _without_computed(kind, dict(state))
    if type(state) is tuple and len(state) == 2 and type(state[0]) is dict:  # noqa: PLR2004 - attributes and slots
        return (_without_computed(kind, dict(state[0])), state[1])
    return state


def _called(function: Any) -> Any:
    """Return the name of the function that a pickle calls, or the function itself if it is not importable."""
    return full_name(function) if isinstance(function, _CALLS) and is_importable(function) else function


def _global_name(value: Any, name: str) -> str:
    module = pickle.whichmodule(value, name)  # type: ignore[attr-defined]
    if lookup(module, name) is not value:
        raise UndigestibleError(f"it is not what {module} has under the name {name}")
    return f"{module}.{name}"
