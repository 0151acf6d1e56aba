"""The shapes of standard library values whose pickles have too little or too much content, or none."""

from __future__ import annotations

import base64
import datetime as dt
import functools
import types
from collections import OrderedDict
from collections.abc import Callable
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from clearway._canonical.shapes import Context, Shape, UndigestibleError


def _datetime(value: dt.datetime, _: Context) -> Shape:
    return "$datetime", _with_zone(value), False


def _time(value: dt.time, _: Context) -> Shape:
    return "$time", _with_zone(value), False


def _with_zone(value: dt.datetime | dt.time) -> Any:
    """Return a time in ISO 8601; with the zone and the fold if there is a fold or more than an offset."""
    zone, iso = value.tzinfo, value.isoformat()
    if not value.fold and (zone is None or _is_offset(zone)):
        return iso
    return [iso, zone, value.fold]


def _is_offset(zone: dt.tzinfo) -> bool:
    return type(zone) is dt.timezone and len(zone.__getinitargs__()) == 1  # type: ignore[attr-defined]  # a second item is a name


def zone(value: Any, _: Context) -> Shape:
    """Return the shape of a ``zoneinfo.ZoneInfo``: its key."""
    if not value.key:
        raise UndigestibleError("a ZoneInfo that was read from a file has no name")
    return "$zone", value.key, False


def _memoryview(value: memoryview, _: Context) -> Shape:
    body = sha256(value.tobytes()).hexdigest()
    return "$memoryview", [value.format, list(value.shape or ()), value.readonly, body], False


def _cell(value: types.CellType, _: Context) -> Shape:
    return "$cell", cell_parts(value), False


def cell_parts(cell: types.CellType) -> list[Any]:
    """Return the content of a closure's cell in a list, which is empty if the cell is not assigned yet."""
    try:
        return [cell.cell_contents]
    except ValueError:
        return []


def _cached(value: Any, _: Context) -> Shape:
    return "$object", ["functools.lru_cache", [value.__wrapped__, value.cache_parameters()]], False


def _property(value: property, _: Context) -> Shape:
    return "$object", ["builtins.property", [value.fget, value.fset, value.fdel]], False


_ODICT: Final[OrderedDict[Any, Any]] = OrderedDict()

SHAPES: Final[dict[type, Callable[[Any, Context], Shape]]] = {
    tuple: lambda value, _: ("$tuple", value, False),
    set: lambda value, _: ("$set", list(value), True),
    frozenset: lambda value, _: ("$frozenset", list(value), True),
    bytes: lambda value, _: ("$bytes", base64.b64encode(value).decode(), False),
    bytearray: lambda value, _: ("$bytearray", base64.b64encode(value).decode(), False),
    memoryview: _memoryview,
    complex: lambda value, _: ("$complex", [value.real, value.imag], False),
    range: lambda value, _: ("$range", [value.start, value.stop, value.step], False),
    Decimal: lambda value, _: ("$decimal", str(value), False),
    UUID: lambda value, _: ("$uuid", str(value), False),
    dt.datetime: _datetime,
    dt.date: lambda value, _: ("$date", value.isoformat(), False),
    dt.time: _time,
    dt.timedelta: lambda value, _: ("$timedelta", str(value // dt.timedelta(microseconds=1)), False),
    dt.timezone: lambda value, _: ("$timezone", list(value.__getinitargs__()), False),
    type(...): lambda *_: ("$global", "builtins.Ellipsis", False),
    type(NotImplemented): lambda *_: ("$global", "builtins.NotImplemented", False),
    # The keys and items views of a dict are like sets, so their order is irrelevant.
    type({}.keys()): lambda value, _: ("$object", ["builtins.dict_keys", set(value)], False),
    type({}.items()): lambda value, _: ("$object", ["builtins.dict_items", dict(value)], False),
    type({}.values()): lambda value, _: ("$object", ["builtins.dict_values", list(value)], False),
    type(_ODICT.keys()): lambda value, _: ("$object", ["builtins.odict_keys", list(value)], False),
    type(_ODICT.items()): lambda value, _: ("$object", ["builtins.odict_items", list(value)], False),
    type(_ODICT.values()): lambda value, _: ("$object", ["builtins.odict_values", list(value)], False),
    types.MappingProxyType: lambda value, _: ("$object", ["types.MappingProxyType", dict(value)], False),
    types.ModuleType: lambda value, _: ("$module", value.__name__, False),
    types.CellType: _cell,
    types.MethodType: lambda value, _: ("$method", [value.__func__, value.__self__], False),
    property: _property,
    staticmethod: lambda value, _: ("$object", ["builtins.staticmethod", value.__func__], False),
    classmethod: lambda value, _: ("$object", ["builtins.classmethod", value.__func__], False),
    functools.cached_property: lambda value, _: (
        "$object", ["functools.cached_property", [value.attrname, value.func]], False
    ),
    type(functools.lru_cache(lambda: None)): _cached,
}  # fmt: skip
