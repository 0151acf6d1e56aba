"""Flows and tasks by the names under which a module has them."""

from __future__ import annotations

import sys
from importlib import import_module
from inspect import getattr_static
from typing import Any

from clearway._definition.base import Definition


def names_of(fn: Any) -> tuple[str, str] | None:
    """Return the module and the qualified name of a function; None where no other process can import it."""
    names = names_here(fn)
    return None if names is None or names[0] == "__main__" else names


def names_here(fn: Any) -> tuple[str, str] | None:
    """Return the module and the qualified name of a function, be it the main program's; else None."""
    module, name = getattr(fn, "__module__", None), getattr(fn, "__qualname__", None)
    if not module or not name or "<" in name:
        return None
    return module, name


def found(module: str, name: str) -> Any:
    """Return what a loaded module has under a qualified name; None where there is no such thing."""
    return _attribute(sys.modules.get(module), name)


def imported(module: str, name: str) -> Any:
    """Return what a module has under a qualified name, importing the module.

    Raises:
        ImportError: The module cannot be imported here.
        AttributeError: It has no such thing.
    """
    it = _attribute(import_module(module), name)
    if it is None:
        raise AttributeError(f"module {module!r} has no {name!r}")
    return it


def imported_fn(module: str, name: str) -> Any:
    """Return the function of the task or flow that a module has under a qualified name; raises as above."""
    return imported(module, name).fn


def can_be_imported(made: Definition) -> bool:
    """Return whether another process finds a task or flow by its function's names."""
    names = names_of(made.fn)
    return names is not None and found(*names) is made


def _attribute(holder: Any, name: str) -> Any:
    *path, last = name.split(".")
    for part in path:
        holder = getattr(holder, part, None)
    it = getattr(holder, last, None)
    # Of a class, a task that is a class method is found bound to the class.
    static = it if isinstance(it, Definition) else getattr_static(holder, last, None)
    return static if isinstance(static, Definition) else it
