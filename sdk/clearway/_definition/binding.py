"""How a flow or task that is a class attribute binds to instances and classes."""

from __future__ import annotations

import enum
from typing import Any


class Binding(enum.Enum):
    """What a call as a method passes as the first argument."""

    INSTANCE = "self"
    CLASS = "cls"
    NOTHING = ""


def unwrapped(fn: Any) -> tuple[Any, Binding]:
    """Return the function within a ``staticmethod`` or ``classmethod``, and how it binds."""
    if isinstance(fn, staticmethod):
        return fn.__func__, Binding.NOTHING
    if isinstance(fn, classmethod):
        return fn.__func__, Binding.CLASS
    return fn, Binding.INSTANCE
