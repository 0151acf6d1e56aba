"""Pickles results so that classes of the main program are read back as the program's own classes.

cloudpickle pickles such a class by value, so reading it in the program's next run would create a second
class of the same name, and ``isinstance``, ``==``, ``except`` and enum members would fail. Therefore the
pickle also has the class's shape (see ``class_shapes``): reading uses the program's own class of that name if
its shape is the same, and creates one only otherwise.
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
_DYNAMIC: Final = 6  # the length of cloudpickle's reduction of a class that it pickles by value


class _Reading(threading.local):
    """Whether this thread is reading a result that must only use the program's own classes."""

    own_only = False


_reading: Final = _Reading()
_own: Final[WeakSet[type]] = WeakSet()  # the process's own classes that it has pickled or read so far
_made: Final[WeakSet[type]] = WeakSet()  # classes that were created from pickles


def dumps(value: Any) -> bytes:
    """Return a value as a pickle, however deeply it is nested.

    Raises:
        Exception: Whatever the value's classes raise when pickled.
    """
    return deep_pickle.dumps(value, _dumps)


def loads(body: bytes, *, own_only: bool = False) -> Any:
    """Return the value in a pickle. This runs code in the pickle, so it must be trusted.

    Args:
        body: The pickle.
        own_only: True refuses classes of another program, or of an earlier version of this one.

    Raises:
        LookupError: The pickle has such a class, and ``own_only`` is True.
        Exception: Whatever the value's classes raise when unpickled.
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
        if _reading.own_only and global_name in _MAKERS:  # a pickle from an earlier version of Clearway
            raise LookupError("it has a class of the main program without the class's shape")
        return super().find_class(module_name, global_name)


def class_of(
    module: str, name: str, shape: str, has_name: bool, maker: str, arguments: tuple[Any, ...]
) -> type:
    """Return the class that a pickle names: the program's own, or a new one for ``fill_class`` to fill.

    Args:
        module: The module of the class.
        name: The qualified name of the class.
        shape: The shape of the class, from ``class_shape``.
        has_name: True if the program could find the class by that name; False, for example, for a named tuple
            that a library created.
        maker: The name of the cloudpickle function that creates the class.
        arguments: The arguments of that function.

    Raises:
        LookupError: Only the program's own classes are allowed, and it has none of that name and shape.
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
    """Set the methods and attributes of a class that a pickle created; leave the program's own unchanged."""
    if kind in _own:
        return kind
    filled: type = _cloudpickle._class_setstate(kind, state)  # noqa: SLF001 - cloudpickle's pickles call it
    return filled
