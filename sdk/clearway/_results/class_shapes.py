"""Digests of classes' fields: two versions of a class with the same digest can read each other's pickles."""

from __future__ import annotations

import dataclasses
import enum
import inspect
from types import CodeType, FunctionType
from typing import Any

from clearway._canonical.names import full_name, is_importable
from clearway._canonical.source import assigned_attributes, stable_digest


def class_shape(kind: type) -> str:
    """Return a digest of a class's name, bases, fields and the attributes that its methods set.

    The digest does not cover the methods' code, so results stay readable when a method changes.
    """
    return stable_digest(*map(repr, _parts(kind)))


def _parts(kind: type) -> list[Any]:
    bases = [full_name(base) if is_importable(base) else class_shape(base) for base in kind.__bases__]
    parts: list[Any] = [kind.__qualname__, full_name(type(kind)), bases]
    if issubclass(kind, enum.Enum):
        return [*parts, [(name, _shown(member.value)) for name, member in kind.__members__.items()]]
    parts.append([(name, _shown(hint)) for name, hint in _annotations(kind).items()])
    parts.append(_shown(vars(kind).get("__slots__")))
    parts.append(getattr(kind, "_fields", None) if issubclass(kind, tuple) else None)
    if dataclasses.is_dataclass(kind):
        parts.append([field.name for field in dataclasses.fields(kind)])
    elif hasattr(kind, "__pydantic_validator__"):
        parts.append(sorted(getattr(kind, "model_fields", ())))
    parts.append(sorted({name for code in _codes(kind) for name in assigned_attributes(code)}))
    return parts


def _annotations(kind: type) -> dict[str, Any]:
    try:
        return inspect.get_annotations(kind)
    except Exception:  # noqa: BLE001 - Python 3.14 evaluates them here, and names may be missing
        return {}


def _codes(kind: type) -> list[CodeType]:
    functions = [getattr(member, "__func__", member) for member in vars(kind).values()]
    return [
        function.__code__
        for function in functions
        if isinstance(function, FunctionType) and function.__globals__.get("__name__") != "dataclasses"
    ]


def _shown(value: Any) -> str:
    """Return a text for a value that is the same in every process; its class's name if there is none."""
    if isinstance(value, type):
        return full_name(value)
    text = value if isinstance(value, str) else repr(value)
    return full_name(type(value)) if " at 0x" in text else text
