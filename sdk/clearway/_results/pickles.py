"""Pickles of results, in which a class of the main program is a reference to that program's own class.

cloudpickle writes such a class out, and what is read in the program's next run is another class of the same
name: ``isinstance``, ``==``, ``except`` and the members of enums fail. So the class goes along with its
shape. Reading takes the class that the program has under that name if its shape is the same, and makes one
otherwise.
"""

from __future__ import annotations

import io
import pickle
import sys
import threading
from typing import Any, Final
from weakref import WeakSet

import cloudpickle  # type: ignore[import-untyped]
from cloudpickle import cloudpickle as _cloudpickle

from clearway._base import deep_pickle
from clearway._results.class_shapes import class_shape

_MAKERS: Final = ("_make_skeleton_class", "_make_skeleton_enum")
_DYNAMIC: Final = 6  # parts of cloudpickle's reduction of a class that it writes out


class _Reading(threading.local):
    """Whether this thread reads a result for which only the program's own classes will do."""

    own_only = False


_reading: Final = _Reading()
_own: Final[WeakSet[type]] = WeakSet()  # classes of this process, as far as it has pickled them
_made: Final[WeakSet[type]] = WeakSet()  # classes that were made of pickles


def dumps(value: Any) -> bytes:
    """Return a value as bytes, however deep it is nested.

    Raises:
        Exception: Whatever the value's own classes raise when they are pickled.
    """
    return deep_pickle.dumps(value, _dumps)


def loads(body: bytes, *, own_only: bool = False) -> Any:
    """Return the value of such bytes. Runs code that is in them.

    Args:
        body: The bytes.
        own_only: Whether to refuse a class of another program, or of an earlier version of this one.

    Raises:
        LookupError: ``own_only``, and there is one.
        Exception: What the value's own classes raise.
    """
    outer, _reading.own_only = _reading.own_only, own_only
    try:
        return _Unpickler(io.BytesIO(body)).load()
    finally:
        _reading.own_only = outer


def _dumps(value: Any) -> bytes:
    file = io.BytesIO()
    _Pickler(file).dump(value)
    return file.getvalue()


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # is untyped
    def reducer_override(self, obj: Any) -> Any:
        made = super().reducer_override(obj)
        if not isinstance(obj, type) or not isinstance(made, tuple) or len(made) != _DYNAMIC:
            return made
        if obj not in _made:
            _own.add(obj)
        maker, arguments, state = made[:3]
        names = (obj.__module__, obj.__qualname__)
        has_name = "<locals>" in obj.__qualname__ or _found(*names) is obj
        return (
            class_of,
            (*names, class_shape(obj), has_name, maker.__name__, arguments),
            state,
            None,
            None,
            fill_class,
        )


class _Unpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        if _reading.own_only and global_name in _MAKERS:  # of an earlier version of Clearway
            raise LookupError("it has a class of the main program, and does not say which shape that has")
        return super().find_class(module_name, global_name)


def class_of(
    module: str, name: str, shape: str, has_name: bool, maker: str, arguments: tuple[Any, ...]
) -> type:
    """Return the class that a pickle names: the program's own, or one that ``fill_class`` then fills.

    Args:
        module: The module that had it.
        name: Its qualified name.
        shape: Its shape, as ``class_shape`` gives it.
        has_name: Whether the program knew it by that name; not a named tuple, say, that a library made.
        maker: The function of cloudpickle's that makes it.
        arguments: What that is called with.

    Raises:
        LookupError: Only the program's own class will do, and it has none of that name and shape.
    """
    found = _found(module, name)
    if isinstance(found, type) and class_shape(found) == shape:
        _own.add(found)
        return found
    made: type = getattr(_cloudpickle, maker)(*arguments)
    if made not in _own:
        if _reading.own_only and has_name:
            which = "none" if found is None else "a version with other fields"
            raise LookupError(f"it is of the class {module}.{name}, of which this program has {which}")
        _made.add(made)
    return made


def _found(module: str, name: str) -> Any:
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def fill_class(kind: type, state: Any) -> type:
    """Give a class that a pickle made its methods and attributes; leave the program's own alone."""
    if kind in _own:
        return kind
    filled: type = _cloudpickle._class_setstate(kind, state)  # noqa: SLF001 - what cloudpickle's pickles call
    return filled
