"""Tells which functions and classes can be imported by name, so that the name identifies them."""

from __future__ import annotations

import sys
from typing import Any

_NOT_IMPORTED = frozenset({"", "__main__", "__mp_main__"})


def full_name(thing: Any) -> str:
    """Return the module and qualified name of a function or class, such as ``collections.OrderedDict``."""
    name = getattr(thing, "__qualname__", None) or getattr(thing, "__name__", type(thing).__qualname__)
    return f"{getattr(thing, '__module__', None) or 'builtins'}.{name}"


def is_importable(thing: Any) -> bool:
    """Return True if importing the module of a function or class, and looking up its name there, finds it.

    False for the main program, which other processes cannot import. The function of a task or flow counts as
    found if the name leads to the task or flow, and a function wrapped with ``functools.wraps`` if the name
    leads to the wrapper.
    """
    module, name = getattr(thing, "__module__", None) or "builtins", getattr(thing, "__qualname__", None)
    if module in _NOT_IMPORTED or not isinstance(name, str) or "<" in name:
        return False
    found = lookup(module, name)
    return (
        found is thing
        or getattr(found, "fn", None) is thing
        or (getattr(found, "__wrapped__", None) is thing and not isinstance(found, type))
    )


def lookup(module: str, name: str) -> Any:
    """Return the object with a qualified name in a module that is already loaded, or None."""
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def reference(thing: type) -> Any:
    """Return how shapes of its instances refer to a class: by name, or by itself if not importable."""
    return full_name(thing) if is_importable(thing) else thing
