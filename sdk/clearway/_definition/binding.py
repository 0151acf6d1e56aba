"""What a flow or task that is an attribute of a class gives its function first."""

from __future__ import annotations

import enum
from typing import Any


class Binding(enum.Enum):
    """What comes first among the arguments of a call."""

    INSTANCE = "self"
    CLASS = "cls"
    NOTHING = ""


def unwrapped(fn: Any) -> tuple[Any, Binding]:
    """Return the function of a static or class method, and what it is given first."""
    if isinstance(fn, staticmethod):
        return fn.__func__, Binding.NOTHING
    if isinstance(fn, classmethod):
        return fn.__func__, Binding.CLASS
    return fn, Binding.INSTANCE
