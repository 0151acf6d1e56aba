"""Converts instances of ``datetime`` and ``timedelta`` subclasses to the standard library's classes.

The operators of such subclasses, for example in pendulum and pandas, return types of their own. This module
therefore calls the base classes' operators.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def checked_time(option: str, at: object) -> datetime:
    """Return a time as an instance of ``datetime`` itself.

    Args:
        option: The name of the argument, for messages.
        at: The time; an instance of ``datetime`` or a subclass.

    Raises:
        TypeError: ``at`` is not a ``datetime``.
        ValueError: ``at`` has no time zone.
    """
    if not isinstance(at, datetime):
        raise TypeError(f"{option} is {at!r}; it must be a datetime with a time zone")
    if at.tzinfo is None or at.utcoffset() is None:
        raise ValueError(
            f"{option} must have a time zone, and {at!r} has none; "
            "give datetime.now(timezone.utc) + timedelta(...), for example"
        )
    return at if type(at) is datetime else EPOCH + since_epoch(at)


def plain_length(length: timedelta) -> timedelta:
    """Return a duration as an instance of ``timedelta`` itself."""
    return length if type(length) is timedelta else micros_of(length) * _MICROSECOND


def since_epoch(at: datetime) -> timedelta:
    """Return the duration from 1970 to a time, which must have a time zone."""
    return datetime.__sub__(at, EPOCH)


def micros_of(length: timedelta) -> int:
    """Return a duration in microseconds, rounded down."""
    return timedelta.__floordiv__(length, _MICROSECOND)
