"""Pickling for other processes: cloudpickle, which finds tasks and flows by name where they can be imported.

cloudpickle sends a function by value where it cannot be imported by its name, as with those of ``__main__``
and those within functions. The name of a decorated function leads to its task, not to the function, so
without this all functions of tasks would be sent by value, with copies of the globals that they use.
"""

from __future__ import annotations

import io
from types import FunctionType
from typing import Any
from weakref import WeakKeyDictionary

import cloudpickle  # type: ignore[import-untyped]

from clearway._base import deep_pickle
from clearway._definition.base import Definition
from clearway._definition.references import (
    can_be_imported,
    found,
    imported,
    imported_fn,
    names_here,
    names_of,
)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # is untyped
    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, Definition):
            return (imported, names_of(obj.fn)) if can_be_imported(obj) else object.__reduce_ex__(obj, 2)
        if type(obj) is FunctionType:
            names = names_of(obj)
            made = None if names is None else found(*names)
            if names is not None and isinstance(made, Definition) and made.fn is obj:
                return imported_fn, names
        if type(obj) is WeakKeyDictionary:  # what a function made by functools.singledispatch has
            return WeakKeyDictionary, (dict(obj),)
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


def reduced(made: Any) -> tuple[Any, ...]:
    """Return a flow or task as other picklers take it, such as that of ``pickle``: see ``__reduce_ex__``."""
    if can_be_imported(made):
        return imported, names_of(made.fn)
    names = names_here(made.fn)
    if names is None or found(*names) is not made:
        return rebuilt, ("", "", dumps(made))
    try:
        return rebuilt, (*names, dumps(made))
    except Exception:  # noqa: BLE001 - what its code uses may raise whatever it likes
        return imported, names  # which the children of the main program find, as they find its functions


def rebuilt(module: str, name: str, body: bytes) -> Any:
    """Return a flow or task that was pickled with its code.

    Where the main program has one with the same code under the same name, it is that one: in the process that
    pickled it, and in the children that ``multiprocessing`` starts of the program.
    """
    made = loads(body)
    here = found(module, name) if name else None
    same = isinstance(here, type(made)) and getattr(here.fn, "__code__", here) == getattr(
        made.fn, "__code__", made
    )
    return here if same else made
