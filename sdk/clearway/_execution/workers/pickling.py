"""Pickling for other processes: cloudpickle, which finds tasks and flows by name where they can be imported.

cloudpickle sends a function by value where it cannot be imported by its name, as with those of ``__main__``
and those within functions. The name of a decorated function leads to its task, not to the function, so
without this all functions of tasks would be sent by value, with copies of the globals that they use.
"""

from __future__ import annotations

import io
import sys
from importlib import import_module
from types import FunctionType
from typing import Any

import cloudpickle  # type: ignore[import-untyped]

from clearway._base import deep_pickle
from clearway._definition.base import Definition


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # is untyped
    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, Definition):
            names = _names_of(obj.fn)
            if names is not None and _find(*names) is obj:
                return imported, names
        elif type(obj) is FunctionType:
            names = _names_of(obj)
            found = None if names is None else _find(*names)
            if names is not None and isinstance(found, Definition) and found.fn is obj:
                return imported_fn, names
        return super().reducer_override(obj)


def dumps(value: Any) -> bytes:
    """Return a value as bytes, however deep it is nested.

    Raises:
        Exception: Whatever the value's own classes raise when they are pickled.
    """
    return deep_pickle.dumps(value, _dumps)


def _dumps(value: Any) -> bytes:
    file = io.BytesIO()
    _Pickler(file).dump(value)
    return file.getvalue()


def loads(body: bytes) -> Any:
    """Return the value of such bytes. Runs code that is in them."""
    return cloudpickle.loads(body)


def imported(module: str, name: str) -> Any:
    """Return what a module has under a qualified name, importing the module.

    Raises:
        ImportError: The module cannot be imported here.
        AttributeError: It has no such thing.
    """
    found: Any = import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def imported_fn(module: str, name: str) -> Any:
    """Return the function of the task or flow that a module has under a qualified name; raises as above."""
    return imported(module, name).fn


def can_be_imported(made: Definition) -> bool:
    """Return whether a task or flow is found by its function's names."""
    names = _names_of(made.fn)
    return names is not None and _find(*names) is made


def _names_of(fn: Any) -> tuple[str, str] | None:
    module, name = getattr(fn, "__module__", None), getattr(fn, "__qualname__", None)
    if not module or not name or module == "__main__" or "<" in name:
        return None
    return module, name


def _find(module: str, name: str) -> Any:
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found
