"""The canonical forms of values that JSON has too: None, booleans, numbers and texts."""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

_MAX_INT: Final = 2**53 - 1
_LONG_INT: Final = 2_000  # bits; below Python's limit on decimal digits in any configuration
# Between these, Python and RFC 8785 write a number in the same way.
_LEAST_PLAIN: Final = 1e-4
_MOST_PLAIN: Final = 1e16
_NAN: Final = struct.pack(">d", math.nan)


def text(value: str) -> Any:
    """Return the form of a text: itself, or Base64 if it has lone surrogates, which UTF-8 cannot encode."""
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return {"$str": base64.b64encode(value.encode("utf-8", "surrogatepass")).decode()}
    return value


def integer(value: int) -> Any:
    """Return the form of an integer: itself, or a text if it is too large for some JSON readers."""
    if -_MAX_INT <= value <= _MAX_INT:
        return value
    # str() fails for integers of more than 4,300 digits, but Decimal has no such limit.
    return {"$int": str(value) if value.bit_length() < _LONG_INT else str(Decimal(value))}


def floating(value: float) -> Any:
    """Return the form of a floating-point number, which distinguishes 1.0 from 1 and -0.0 from 0.0."""
    if not math.isfinite(value):
        bits = struct.pack(">d", value)
        if value != value and bits != _NAN:  # noqa: PLR0124 - code can read the sign and payload of a NaN
            return {"$float": f"nan:{bits.hex()}"}
        return {"$float": str(value)}
    if value.is_integer():
        return {"$float": str(int(value)) if value or math.copysign(1.0, value) > 0 else "-0"}
    return value


def is_plain(value: float) -> bool:
    """Return True if the standard library writes a number with a fraction in the same way as RFC 8785."""
    return _LEAST_PLAIN <= abs(value) < _MOST_PLAIN


def _same(value: Any) -> Any:
    return value


ATOMS: Final[dict[type, Callable[[Any], Any]]] = {type(None): _same, bool: _same, str: text, int: integer}
