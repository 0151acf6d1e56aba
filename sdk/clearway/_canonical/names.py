"""Which functions and classes their names identify: those that an import finds by them."""

from __future__ import annotations

import sys
from typing import Any

_NOT_IMPORTED = frozenset({"", "__main__", "__mp_main__"})


def full_name(thing: Any) -> str:
    """Return the module and the qualified name of a function or class, as ``collections.OrderedDict``."""
    name = getattr(thing, "__qualname__", None) or getattr(thing, "__name__", type(thing).__qualname__)
    return f"{getattr(thing, '__module__', None) or 'builtins'}.{name}"


def is_importable(thing: Any) -> bool:
    """Return whether a module other than the main program has a function or class under its name.

    The function of a task or flow counts as the one that its name leads to, and so does a function that was
    wrapped with ``functools.wraps``.
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
    """Return what a loaded module has under a qualified name; None if there is nothing."""
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def reference(thing: type) -> Any:
    """Return what a class is in the shapes of its instances: its name, or itself if that is not enough."""
    return full_name(thing) if is_importable(thing) else thing
