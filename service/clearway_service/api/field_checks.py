"""Validation: the checks that ``request_validation`` uses, and their errors.

Every error names the field by its path, the value (shortened), and what would be valid.
"""

from __future__ import annotations

import json
import re
import uuid
from typing import Final, NoReturn

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from clearway_service.errors import InvalidArgumentError

# The valid values of each text format.
UUID = "a UUID, such as '0198c5a1-7c1e-7d3a-9f52-3f1d2a6b8c4e'"
SHA256 = "64 lower-case hexadecimal digits"
KEY = "without NUL characters"
TAG = "without control characters, and not only spaces"
JSON_OBJECT = "a JSON object"

# The fast path for what nearly all clients send; ``canonical_uuid`` accepts other spellings.
is_canonical_uuid: Final = re.compile(
    "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
).fullmatch
is_sha256: Final = re.compile("[0-9a-f]{64}").fullmatch
_UUID = re.compile(
    r"(?:urn:uuid:)?\{?[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}\}?", re.ASCII | re.IGNORECASE
)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_SHOWN = 80
_YEAR_10000 = 253_402_300_800
_NANOSECONDS = 1_000_000_000
_MICROSECONDS = 1_000_000
_MOST_SECONDS = 315_576_000_000  # the limit of google.protobuf.Duration, about 10,000 years


def canonical_uuid(value: str, field: str) -> str:
    """Return a UUID in its canonical form: lower-case, with hyphens.

    Args:
        value: The UUID in any spelling: either case, with or without hyphens and braces.
        field: The name of the field, for the error.

    Raises:
        InvalidArgumentError: ``value`` is not a UUID.
    """
    if _UUID.fullmatch(value) is None:
        raise invalid(field, value, UUID)
    return str(uuid.UUID(value))


def is_tag(value: str) -> bool:
    """Return True if ``value`` is a valid tag: no control characters, and not only spaces."""
    return bool(value.strip()) and (value.isprintable() or _CONTROL.search(value) is None)


def is_json_object(value: str) -> bool:
    """Return True if ``value`` is a JSON object."""
    try:
        return isinstance(json.loads(value, parse_constant=_refuse_constant), dict)
    except (ValueError, RecursionError):
        return False


def _refuse_constant(constant: str) -> NoReturn:
    """Reject NaN and the infinities, which Python's parser accepts although JSON has none."""
    raise ValueError(constant)


def invalid(field: str, value: object, right: str) -> InvalidArgumentError:
    """Return the error for a ``field`` that is ``value`` and must be ``right``."""
    shown = repr(value)
    if len(shown) > _SHOWN:
        shown = shown[:_SHOWN] + "..."
    return InvalidArgumentError(f"{field} is {shown}; it must be {right}", field)


def missing(field: str, right: str) -> InvalidArgumentError:
    """Return the error for a ``field`` that is not set and must be ``right``."""
    return InvalidArgumentError(f"{field} is not set; it must be {right}", field)


def too_long(field: str, value: str, most: int) -> InvalidArgumentError:
    """Return the error for a text of more than ``most`` characters."""
    return InvalidArgumentError(f"{field} has {len(value)} characters; it must have at most {most}", field)


def too_large(field: str, size: int, most: int) -> InvalidArgumentError:
    """Return the error for a field of more than ``most`` bytes."""
    return InvalidArgumentError(f"{field} has {size} bytes; it must have at most {most}", field)


def too_many(field: str, count: int, most: int) -> InvalidArgumentError:
    """Return the error for a list of more than ``most`` items."""
    return InvalidArgumentError(f"{field} has {count} items; at most {most} are allowed", field)


def check_items(field: str, count: int, most: int) -> None:
    """Check that there are at most ``most`` items.

    Raises:
        InvalidArgumentError: There are more.
    """
    if count > most:
        raise too_many(field, count, most)


def check_timestamp(value: Timestamp, field: str) -> None:
    """Check that a time lies between the years 1970 and 9999.

    Raises:
        InvalidArgumentError: It does not.
    """
    if not 0 <= value.seconds < _YEAR_10000 or not 0 <= value.nanos < _NANOSECONDS:
        raise invalid(
            field, f"{value.seconds} s {value.nanos} ns since 1970", "a time from 1970 to the year 9999"
        )


def check_duration(
    value: Duration, field: str, least: float = 0, most: float = _MOST_SECONDS, above: float = -1
) -> None:
    """Check that a duration lies between bounds, which are given in seconds.

    Args:
        value: The duration. Fractions of a microsecond are ignored.
        field: The name of the field, for the error.
        least: The smallest duration allowed.
        most: The largest duration allowed.
        above: A duration that it must exceed.

    Raises:
        InvalidArgumentError: It does not, or is malformed by protobuf's rules.
    """
    proper = value.seconds >= 0 and 0 <= value.nanos < _NANOSECONDS
    size = value.seconds * _MICROSECONDS + value.nanos // 1_000
    if proper and max(least * _MICROSECONDS, above * _MICROSECONDS + 1) <= size <= most * _MICROSECONDS:
        return
    lower = f"above {above:g}" if above >= 0 else f"from {least:g}"
    seconds = (
        f"{value.seconds + value.nanos / 1e9:g}" if abs(value.seconds) < _MOST_SECONDS else value.seconds
    )
    raise invalid(field, f"{seconds} s", f"{lower} to {most:.0f} s")
