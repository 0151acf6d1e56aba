"""Pickling for other processes with cloudpickle, except that importable tasks and flows go by reference.

cloudpickle pickles a function by value if it cannot import it by name, such as one in ``__main__`` or within
a function. The name of a decorated function leads to its task, not to the function. Without this module, the
functions of all tasks would therefore go by value, with copies of the globals that they use.
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
        if type(obj) is WeakKeyDictionary:  # functions made by functools.singledispatch have one
            return WeakKeyDictionary, (dict(obj),)
        return super().reducer_override(obj)


def dumps(value: Any) -> bytes:
    """Pickle a value, however deeply nested.

    Raises:
        Exception: Whatever the value's own classes raise while they are pickled.
    """
    return deep_pickle.dumps(value, _dumps)


def _dumps(value: Any) -> bytes:
    file = io.BytesIO()
    _Pickler(file).dump(value)
    return file.getvalue()


def loads(body: bytes) -> Any:
    """Unpickle a value. This can run code contained in ``body``."""
    return cloudpickle.loads(body)


def reduced(made: Any) -> tuple[Any, ...]:
    """Return the ``__reduce_ex__`` value of a flow or task, for picklers such as ``pickle``'s own."""
    if can_be_imported(made):
        return imported, names_of(made.fn)
    names = names_here(made.fn)
    if names is None or found(*names) is not made:
        return rebuilt, ("", "", dumps(made))
    try:
        return rebuilt, (*names, dumps(made))
    except Exception:  # noqa: BLE001 - the globals that its code uses may raise anything
        return imported, names  # the children of the main program find it by name, as they do its functions


def rebuilt(module: str, name: str, body: bytes) -> Any:
    """Return a flow or task that was pickled with its code.

    If this process has one with the same code under the same name, that one is returned: so it is in the
    process that pickled it, and in the children that ``multiprocessing`` starts.
    """
    made = loads(body)
    here = found(module, name) if name else None
    same = isinstance(here, type(made)) and getattr(here.fn, "__code__", here) == getattr(
        made.fn, "__code__", made
    )
    return here if same else made
