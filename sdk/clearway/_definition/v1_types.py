"""Validates pydantic 1 types within annotations, which pydantic 2 does not support.

pydantic 2 includes ``pydantic.v1``. Wherever an annotation contains one of its models, as in a list or a
union, ``pydantic.v1`` validates that part, and pydantic 2 validates the rest.
"""

from __future__ import annotations

import dataclasses
import typing
from types import GenericAlias, UnionType
from typing import Annotated, Any, Union


def with_v1_types(hint: Any) -> Any:
    """Return an annotation for pydantic 2 that has its pydantic 1 types validated by pydantic 1."""
    if _is_v1(hint):
        return _validated_by(lambda value: _converted(hint, value))
    if isinstance(hint, type) and _has_v1_field(hint, set()):
        return _validated_by(lambda value: _instance(hint, value))
    args = typing.get_args(hint)
    changed = tuple(with_v1_types(arg) for arg in args)
    if all(old is new for old, new in zip(args, changed, strict=True)):
        return hint
    origin: Any = typing.get_origin(hint)
    if origin is Annotated:
        return Annotated[(changed[0], *hint.__metadata__)]
    if origin in (Union, UnionType):
        return Union[changed]  # noqa: UP007 - of a tuple
    return GenericAlias(origin, changed)


def _is_v1(hint: Any) -> bool:
    return (
        isinstance(hint, type)
        and hasattr(hint, "__get_validators__")
        and not hasattr(hint, "__get_pydantic_core_schema__")
    )


def _has_v1_field(kind: type, seen: set[type]) -> bool:
    """Return whether a dataclass, named tuple or typed dictionary has a field of pydantic 1.

    Its fields are not to be reached from here, so only its class is checked.
    """
    if kind in seen or not (
        dataclasses.is_dataclass(kind) or hasattr(kind, "_fields") or typing.is_typeddict(kind)
    ):
        return False
    seen.add(kind)
    try:
        hints = typing.get_type_hints(kind)
    except Exception:  # noqa: BLE001 - an annotation is any expression
        return False
    return any(_mentions_v1(hint, seen) for hint in hints.values())


def _mentions_v1(hint: Any, seen: set[type]) -> bool:
    return (
        _is_v1(hint)
        or any(_mentions_v1(arg, seen) for arg in typing.get_args(hint))
        or (isinstance(hint, type) and _has_v1_field(hint, seen))
    )


def _validated_by(function: Any) -> Any:
    from pydantic import PlainValidator  # noqa: PLC0415 - slow to import, and most calls need none of it

    return Annotated[Any, PlainValidator(function)]


def _converted(kind: Any, value: Any) -> Any:
    if issubclass(type(value), kind):  # pydantic 1 asks a model of pydantic 2 for what that warns of
        return value
    from pydantic import BaseModel  # noqa: PLC0415 - as above
    from pydantic.v1 import BaseModel as OldModel  # noqa: PLC0415
    from pydantic.v1 import ValidationError, parse_obj_as  # noqa: PLC0415

    if isinstance(
        value, (BaseModel, OldModel)
    ):  # version 1 would copy the fields of any model, even if another member of a union fits
        raise ValueError(f"must be an instance of {kind.__name__}, not of {type(value).__name__}")  # noqa: TRY004 - pydantic expects a ValueError
    try:
        return parse_obj_as(kind, value)
    except ValidationError as error:
        raise ValueError("; ".join(map(_said, error.errors()))) from None


def _said(error: Any) -> str:
    where = ".".join(str(step) for step in error["loc"] if step != "__root__")
    return f"{where}: {error['msg']}" if where else str(error["msg"])


def _instance(kind: Any, value: Any) -> Any:
    if isinstance(value, dict if typing.is_typeddict(kind) else kind):
        return value
    raise ValueError(f"must be an instance of {kind.__name__}, which has fields of pydantic 1")
