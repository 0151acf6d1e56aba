"""Between the protocol's times and Python's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

if TYPE_CHECKING:
    from google.protobuf.message import Message

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


# Subclasses of datetime and timedelta, such as those of pendulum and pandas, have operators that return types
# of their own. So the operators below are those of the base classes.


def checked_time(option: str, at: object) -> datetime:
    """Return a time as an instance of ``datetime`` itself.

    Args:
        option: The name of the argument, for messages.
        at: The time, of any class derived from ``datetime``.

    Raises:
        TypeError: ``at`` is no ``datetime``.
        ValueError: ``at`` has no time zone.
    """
    if not isinstance(at, datetime):
        raise TypeError(f"{option} is {at!r}; it must be a datetime with a time zone")
    if at.tzinfo is None or at.utcoffset() is None:
        raise ValueError(
            f"{option} must have a time zone, and {at!r} has none; "
            "give datetime.now(timezone.utc) + timedelta(...), for example"
        )
    return at if type(at) is datetime else _EPOCH + datetime.__sub__(at, _EPOCH)


def plain_length(length: timedelta) -> timedelta:
    """Return a length of time as an instance of ``timedelta`` itself."""
    return length if type(length) is timedelta else _micros(length) * _MICROSECOND


def _micros(length: timedelta) -> int:
    return timedelta.__floordiv__(length, _MICROSECOND)


def timestamp_to_proto(at: datetime) -> Timestamp:
    """Return the message for a time, which must have a time zone."""
    micros = _micros(datetime.__sub__(at, _EPOCH))
    return Timestamp(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1_000)


def timestamp_from_proto(message: Timestamp) -> datetime:
    """Return the time of a message, in UTC, to the microsecond."""
    return _EPOCH + timedelta(0, message.seconds, message.nanos // 1_000)


def duration_to_proto(length: timedelta) -> Duration:
    """Return the message for a length of time."""
    micros = _micros(length)
    sign = -1 if micros < 0 else 1
    seconds, rest = divmod(abs(micros), 1_000_000)
    return Duration(seconds=sign * seconds, nanos=sign * rest * 1_000)


def duration_from_proto(message: Duration) -> timedelta:
    """Return the length of time of a message, to the microsecond."""
    return timedelta(seconds=message.seconds, microseconds=message.nanos / 1_000)


def optional_time(message: Message, field: str) -> datetime | None:
    """Return the time in a field of a message, or None where it is unset."""
    return timestamp_from_proto(getattr(message, field)) if message.HasField(field) else None
