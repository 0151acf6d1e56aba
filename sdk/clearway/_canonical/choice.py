"""Selects the function that makes a value's shape, by the value's class."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable
from importlib import import_module
from pathlib import PurePath
from types import CodeType, FunctionType
from typing import Any, Final, TypeAlias
from weakref import WeakKeyDictionary, WeakSet

from clearway._canonical import code, objects, standard
from clearway._canonical.names import reference
from clearway._canonical.shapes import Context, Shape

_Maker: TypeAlias = Callable[[Any, Context], Shape]

_MAKERS: Final[dict[type, _Maker]] = {**standard.SHAPES, FunctionType: code.function, CodeType: code.code}
_LIBRARIES: Final = {"numpy": "arrays", "pandas": "frames", "polars": "columns", "pyarrow": "tables"}
_chosen: Final[WeakKeyDictionary[type, _Maker]] = WeakKeyDictionary()


def shape_of(value: Any, context: Context) -> Shape:
    """Return the shape of a value that is not an atom, a list or a dict.

    Raises:
        Exception: The value has no shape; usually ``UndigestibleError``, or what its class raises when
            pickled.
    """
    kind = type(value)
    maker = _MAKERS.get(kind)
    if maker is None:
        maker = _chosen.get(kind)
        if maker is None:
            maker = _chosen[kind] = _choose(kind)
    return maker(value, context)


def _choose(kind: type) -> _Maker:
    for is_of, maker in _KINDS:
        if is_of(kind):
            return maker
    return _of_library(kind) or next((maker for is_of, maker in _OTHERS if is_of(kind)), objects.reduced)


def _of_library(kind: type) -> _Maker | None:
    for base in kind.__mro__:
        module = _LIBRARIES.get(base.__module__.partition(".")[0])
        if module is not None:
            maker: _Maker | None = import_module(f"clearway._canonical.{module}").maker_for(kind)
            return maker
    return None


def _own(value: Any, _: Context) -> Shape:
    return "$object", [reference(type(value)), value.__clearway_parts__()], False


_KINDS: Final[tuple[tuple[Callable[[type], bool], _Maker], ...]] = (
    (lambda kind: issubclass(kind, type), code.class_),
    (lambda kind: hasattr(kind, "__clearway_parts__"), _own),
    (lambda kind: issubclass(kind, enum.Enum), objects.enum_member),
    (lambda kind: issubclass(kind, PurePath), objects.path),
)
_OTHERS: Final[tuple[tuple[Callable[[type], bool], _Maker], ...]] = (
    (lambda kind: f"{kind.__module__}.{kind.__name__}" == "zoneinfo.ZoneInfo", standard.zone),
    (lambda kind: issubclass(kind, tuple) and hasattr(kind, "_fields"), objects.named_tuple),
    (lambda kind: issubclass(kind, (set, frozenset, WeakSet)), objects.set_like),
    (dataclasses.is_dataclass, objects.dataclass_instance),
    (lambda kind: hasattr(kind, "model_fields") and hasattr(kind, "__pydantic_validator__"), objects.model),
)
