"""Validation: what a field may hold. Each failure names the field, its value, and what would be right."""

from __future__ import annotations

import re
import unicodedata
import uuid
from collections.abc import Iterable
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from clearway_service.errors import InvalidArgumentError

MAX_NAME = 255
MAX_TAGS = 64
MAX_MESSAGE = 16_384
MAX_CACHE_KEY = 1_024
MAX_RETRIES = 10_000
MAX_DURATION = timedelta(days=3_650)
MAX_PAGE_SIZE = 1_000
DEFAULT_PAGE_SIZE = 100

_CANONICAL_UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_SHOWN = 80
_YEAR_10000 = 253_402_300_800
_NANOSECONDS = 1_000_000_000


def invalid(field: str, value: object, right: str) -> InvalidArgumentError:
    """Return the error that says that ``field`` is ``value`` and must be ``right``."""
    shown = repr(value)
    if len(shown) > _SHOWN:
        shown = shown[:_SHOWN] + "..."
    return InvalidArgumentError(f"{field} is {shown}; it must be {right}", field)


def missing(field: str, right: str) -> InvalidArgumentError:
    """Return the error that says that ``field`` is not set and must be ``right``."""
    return InvalidArgumentError(f"{field} is not set; it must be {right}", field)


def required_id(field: str, value: str) -> str:
    """Return ``value`` as a UUID in its canonical form."""
    if _CANONICAL_UUID.fullmatch(value):
        return value
    if not value:
        raise missing(field, "a UUID")
    try:
        return str(uuid.UUID(value))
    except ValueError:
        raise invalid(field, value, "a UUID, such as '0198c5a1-7c1e-7d3a-9f52-3f1d2a6b8c4e'") from None


def optional_id(field: str, value: str) -> str:
    """Return ``value`` as a UUID in its canonical form, or empty where it is."""
    return required_id(field, value) if value else ""


def text(field: str, value: str, longest: int) -> str:
    """Return ``value``, at most ``longest`` characters."""
    if len(value) > longest:
        raise InvalidArgumentError(
            f"{field} has {len(value)} characters; it must have at most {longest}", field
        )
    return value


def required_text(field: str, value: str, longest: int) -> str:
    """Return ``value``, from 1 to ``longest`` characters."""
    if not value:
        raise missing(field, f"1 to {longest} characters")
    return text(field, value, longest)


def key(field: str, value: str, longest: int) -> str:
    """Return ``value``, at most ``longest`` characters by which something can be found again."""
    if "\0" in value:
        # Databases end a text there, so that it would never be found.
        raise invalid(field, value, "without NUL characters")
    return text(field, value, longest)


def required_key(field: str, value: str, longest: int) -> str:
    """Return ``value``, from 1 to ``longest`` characters by which something can be found again."""
    return key(field, required_text(field, value, longest), longest)


def tag(field: str, value: str) -> str:
    """Return ``value`` as a tag."""
    required_text(field, value, MAX_NAME)
    if not value.strip() or any(unicodedata.category(character) == "Cc" for character in value):
        raise invalid(field, value, "printable, without control characters")
    return value


def tags(field: str, values: Iterable[str]) -> tuple[str, ...]:
    """Return ``values`` as tags, sorted, each once."""
    unique = sorted({tag(field, value) for value in values})
    if len(unique) > MAX_TAGS:
        raise InvalidArgumentError(f"{field} are {len(unique)}; at most {MAX_TAGS} are allowed", field)
    return tuple(unique)


def number(field: str, value: int, least: int, most: int) -> int:
    """Return ``value``, from ``least`` to ``most``."""
    if not least <= value <= most:
        raise invalid(field, value, f"from {least} to {most}")
    return value


def items(field: str, count: int, most: int) -> None:
    """Check that there are at most ``most`` items."""
    if count > most:
        raise InvalidArgumentError(f"{field} has {count} items; at most {most} are allowed", field)


def page_size(value: int) -> int:
    """Return how many items a page has; 0 means the default."""
    return number("page_size", value, 0, MAX_PAGE_SIZE) or DEFAULT_PAGE_SIZE


def duration(field: str, value: Duration, most: timedelta = MAX_DURATION) -> int:
    """Return ``value`` in microseconds; it is never negative and at most ``most``."""
    microseconds = value.seconds * 1_000_000 + value.nanos // 1_000
    proper = value.seconds >= 0 and 0 <= value.nanos < _NANOSECONDS
    if not proper or microseconds > most // timedelta(microseconds=1):
        raise invalid(
            field, f"{value.seconds + value.nanos / 1e9} s", f"from 0 to {most.total_seconds():.0f} s"
        )
    return microseconds


def timestamp(field: str, value: Timestamp) -> int:
    """Return ``value`` in microseconds since 1970, from that year to 9999."""
    if not 0 <= value.seconds < _YEAR_10000 or not 0 <= value.nanos < _NANOSECONDS:
        raise invalid(
            field, f"{value.seconds} s {value.nanos} ns since 1970", "a time from 1970 to the year 9999"
        )
    return value.seconds * 1_000_000 + value.nanos // 1_000
