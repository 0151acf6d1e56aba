"""The direct children of a value: the items of containers, the fields of dataclasses and pydantic models."""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import Any

ATOMS: frozenset[type] = frozenset(
    {int, float, str, bool, bytes, bytearray, complex, type(None), range, type, type(...)}
)
PLAIN: frozenset[type] = frozenset({dict, list, set, tuple})


def held(value: object) -> Collection[object] | None:
    """Return a value's children; None for a value that has none, or only atoms."""
    kind = type(value)
    if kind is dict:
        items = value.values()  # type: ignore[attr-defined]
        if ATOMS.issuperset(map(type, items)) and ATOMS.issuperset(map(type, value)):  # type: ignore[call-overload]
            return None
        return (*value, *items)  # type: ignore[misc]
    children = _children(value)
    return None if children is None or ATOMS.issuperset(map(type, children)) else children


def _children(value: object) -> Collection[object] | None:
    if isinstance(value, (list, tuple, set, frozenset)):
        return value
    if isinstance(value, dict):
        return (*value, *value.values())
    kind = type(value)
    if hasattr(kind, "__dataclass_fields__") or _is_model(kind):
        return _fields(value).values()
    return None


def _is_model(kind: type) -> bool:
    return hasattr(kind, "model_fields") and hasattr(kind, "__pydantic_validator__")


def _fields(value: object) -> dict[str, object]:
    kind: Any = type(value)
    if _is_model(kind):
        return {**value.__dict__, **(getattr(value, "__pydantic_extra__", None) or {})}
    return {name: getattr(value, name) for name in kind.__dataclass_fields__ if hasattr(value, name)}


def can_be_filled(value: object) -> bool:
    """Return whether a copy can be made first and filled with its children later."""
    return not isinstance(value, (tuple, set, frozenset))


def blank(value: Any) -> Any:
    """Return a copy of a list, dictionary, dataclass or model, to be filled."""
    return value.model_copy() if _is_model(type(value)) else copy.copy(value)


def fill(copied: Any, value: Any, children: list[Any]) -> None:
    """Replace the children of a copy, in the order of ``held``."""
    if isinstance(value, list):
        copied[:] = children
    elif isinstance(value, dict):
        copied.clear()
        copied.update(zip(children[: len(value)], children[len(value) :], strict=True))
    elif _is_model(type(value)):
        extra = getattr(copied, "__pydantic_extra__", None) or {}
        for name, child in zip(_fields(value), children, strict=True):
            (extra if name in extra else copied.__dict__)[name] = child
    else:
        for name, child in zip(_fields(value), children, strict=True):
            object.__setattr__(copied, name, child)  # also if it is frozen: the copy is ours


def rebuilt(value: Any, children: list[Any]) -> Any:
    """Return a copy of a container with other children, in the order of ``held``."""
    if isinstance(value, tuple) and hasattr(value, "_make"):
        return value._make(children)
    if isinstance(value, (tuple, set, frozenset)):
        return type(value)(children)
    copied = blank(value)
    fill(copied, value, children)
    return copied
