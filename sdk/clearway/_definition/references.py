"""Finds flows and tasks by module and qualified name, so that other processes can import them."""

from __future__ import annotations

import sys
from importlib import import_module
from inspect import getattr_static
from typing import Any

from clearway._definition.base import Definition


def names_of(fn: Any) -> tuple[str, str] | None:
    """Return a function's module and qualified name; None if another process cannot import it."""
    names = names_here(fn)
    return None if names is None or names[0] == "__main__" else names


def names_here(fn: Any) -> tuple[str, str] | None:
    """Return a function's module and qualified name, main program included; None if it has no usable name."""
    module, name = getattr(fn, "__module__", None), getattr(fn, "__qualname__", None)
    if not module or not name or "<" in name:
        return None
    return module, name


def found(module: str, name: str) -> Any:
    """Return the object with a qualified name in a module that is already loaded, or None."""
    return _attribute(sys.modules.get(module), name)


def imported(module: str, name: str) -> Any:
    """Import a module and return the object with a qualified name in it.

    Raises:
        ImportError: The module cannot be imported in this process.
        AttributeError: The module has no such object.
    """
    it = _attribute(import_module(module), name)
    if it is None:
        raise AttributeError(f"module {module!r} has no {name!r}")
    return it


def imported_fn(module: str, name: str) -> Any:
    """Import a module and return the function of the task or flow with a qualified name in it.

    Raises:
        ImportError: The module cannot be imported in this process.
        AttributeError: The module has no such task or flow.
    """
    return imported(module, name).fn


def can_be_imported(made: Definition) -> bool:
    """Return True if another process can find a flow or task by its function's module and name."""
    names = names_of(made.fn)
    return names is not None and found(*names) is made


def _attribute(holder: Any, name: str) -> Any:
    *path, last = name.split(".")
    for part in path:
        holder = getattr(holder, part, None)
    it = getattr(holder, last, None)
    # getattr() would return a task that is a class method bound to its class.
    static = it if isinstance(it, Definition) else getattr_static(holder, last, None)
    return static if isinstance(static, Definition) else it
