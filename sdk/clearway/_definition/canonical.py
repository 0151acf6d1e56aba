"""Values as canonical JSON: equal values make equal bytes, in every process and on every machine.

The bytes are those of RFC 8785 (JSON Canonicalization Scheme). What JSON does not have is an object with one
key that begins with ``$``, such as ``{"$datetime": "2026-01-31T12:00:00"}``; ``docs/cache-keys.md`` lists
them. What has no such form is pickled, and stands as ``{"$pickle": <SHA-256 of the pickle>}``.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import enum
import json
import math
import sys
from collections.abc import Callable
from decimal import Decimal
from hashlib import sha256
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

from clearway._base import lazy_cloudpickle

_MAX_DEPTH: Final = 100
_MAX_INT: Final = 2**53 - 1
_LONG_INT: Final = 2_000  # bits; every limit that Python may be given is beyond
# Floats whose shortest digits Python and RFC 8785 write alike.
_LEAST_PLAIN: Final = 1e-4
_MOST_PLAIN: Final = 1e16

_dump: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"), sort_keys=True
).encode


def canonical_json(value: Any) -> bytes:
    """Return a value as canonical JSON.

    Raises:
        Exception: What pickling raised, for a value that has no other form.
    """
    canon = Canon()
    return canon.dump(canon.tree(value))


class Canon:
    """Makes trees of JSON values, and notes whether the standard library writes them as RFC 8785 does."""

    def __init__(self) -> None:
        self._plain = True

    def dump(self, tree: Any) -> bytes:
        """Return a tree as the bytes of RFC 8785."""
        if self._plain:
            return _dump(tree).encode()
        import rfc8785  # noqa: PLC0415 - exact for all numbers and keys, and slower

        body: bytes = rfc8785.dumps(tree)
        return body

    def named(self, trees: dict[str, Any]) -> dict[str, Any]:
        """Return trees as an object with these names."""
        if not all(map(str.isascii, trees)):  # RFC 8785 orders by UTF-16 units, Python by code points
            self._plain = False
        return trees

    def tree(self, value: Any, depth: int = 0) -> Any:  # noqa: PLR0911 - one for each kind
        """Return a value as what JSON has.

        Raises:
            Exception: What pickling raised, for a value that has no other form.
        """
        kind = type(value)
        atom = _ATOMS.get(kind)
        if atom is not None:
            return atom(value)
        if kind is float:
            return self._float(value)
        if depth >= _MAX_DEPTH:  # which also ends the search in a list that holds itself
            return _pickled(value)
        if kind is list:
            return [self.tree(item, depth + 1) for item in value]
        if kind is dict:
            return self._dict(value, depth)
        form = _FORMS.get(kind)
        if form is not None:
            name, parts = form(value)
            return {name: self.tree(parts, depth + 1)}
        return self._other(value, depth)

    def _float(self, value: float) -> Any:
        if not math.isfinite(value):
            return {"$float": str(value)}
        if value.is_integer():
            return {"$float": str(int(value))}
        if not _LEAST_PLAIN <= abs(value) < _MOST_PLAIN:
            self._plain = False
        return value

    def _dict(self, value: dict[Any, Any], depth: int) -> Any:
        if all(type(key) is str and key[:1] != "$" and type(_text(key)) is str for key in value):
            return self.named({key: self.tree(item, depth + 1) for key, item in value.items()})
        pairs = [[self.tree(key, depth + 1), self.tree(item, depth + 1)] for key, item in value.items()]
        return {"$dict": sorted(pairs, key=self.dump)}

    def _other(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind in (set, frozenset):
            items = sorted((self.tree(item, depth + 1) for item in value), key=self.dump)
            return {"$set" if kind is set else "$frozenset": items}
        if isinstance(value, enum.Enum):
            # Flags of which none, or one without a name, is set have a value only.
            return {"$enum": [_type_name(kind), value.name or self.tree(value.value, depth + 1)]}
        if isinstance(value, PurePath):
            return {"$path": self.tree(str(value), depth + 1)}
        if isinstance(value, tuple) and hasattr(kind, "_fields"):
            return {"$namedtuple": [_type_name(kind), self.tree(list(value), depth + 1)]}
        fields = _fields(value)
        if fields is not None:
            return {"$object": [_type_name(kind), self.tree(fields, depth + 1)]}
        array = _array(value)
        return _pickled(value) if array is None else {"$numpy": array}


def _text(value: str) -> Any:
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return {"$str": base64.b64encode(value.encode("utf-8", "surrogatepass")).decode()}
    return value


def _int(value: int) -> Any:
    if -_MAX_INT <= value <= _MAX_INT:
        return value
    # Python refuses to write an integer of more than 4,300 digits, except by way of a decimal.
    return {"$int": str(value) if value.bit_length() < _LONG_INT else str(Decimal(value))}


def _same(value: Any) -> Any:
    return value


_ATOMS: Final[dict[type, Callable[[Any], Any]]] = {type(None): _same, bool: _same, str: _text, int: _int}
_FORMS: Final[dict[type, Callable[[Any], tuple[str, Any]]]] = {
    tuple: lambda value: ("$tuple", list(value)),
    bytes: lambda value: ("$bytes", base64.b64encode(value).decode()),
    bytearray: lambda value: ("$bytearray", base64.b64encode(value).decode()),
    complex: lambda value: ("$complex", [value.real, value.imag]),
    range: lambda value: ("$range", [value.start, value.stop, value.step]),
    Decimal: lambda value: ("$decimal", str(value)),
    UUID: lambda value: ("$uuid", str(value)),
    dt.datetime: lambda value: ("$datetime", value.isoformat()),
    dt.date: lambda value: ("$date", value.isoformat()),
    dt.time: lambda value: ("$time", value.isoformat()),
    dt.timedelta: lambda value: ("$timedelta", str(value // dt.timedelta(microseconds=1))),
}


def _fields(value: Any) -> dict[str, Any] | None:
    """Return the fields of a dataclass's or a pydantic model's instance."""
    kind = type(value)
    if isinstance(value, type):
        return None
    if dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        # A subclass without the decorator may have attributes that are no fields.
        has_all = "__dataclass_fields__" in vars(kind)
        return fields if has_all else fields | getattr(value, "__dict__", {})
    pydantic = sys.modules.get("pydantic")
    if pydantic is not None and isinstance(value, pydantic.BaseModel):
        fields = {name: getattr(value, name) for name in type(value).model_fields}
        return fields | (value.model_extra or {})
    return None


def _array(value: Any) -> list[Any] | None:
    """Return a numpy scalar's or array's type, shape and content; None for what is neither.

    Nor for what has more than these: fields, whose names the type's text leaves out, and arrays of classes
    of their own, which may have a mask or a unit.
    """
    numpy = sys.modules.get("numpy")
    if numpy is None or not (type(value) is numpy.ndarray or isinstance(value, numpy.generic)):
        return None
    if value.dtype.hasobject or value.dtype.kind == "V":
        return None
    little = value.astype(value.dtype.newbyteorder("<"), copy=False)
    return [little.dtype.str, list(value.shape), sha256(little.tobytes()).hexdigest()]


def _pickled(value: Any) -> dict[str, str]:
    return {"$pickle": sha256(lazy_cloudpickle.dumps(value)).hexdigest()}


def _type_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
