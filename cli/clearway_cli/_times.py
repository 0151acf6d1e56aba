"""Times and durations, for people and for scripts."""

from datetime import UTC, datetime

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR


def iso(time: Timestamp) -> str:
    """Return a time in UTC, always of the same length, as in ``2026-01-31T08:15:00.000000Z``."""
    return _utc(time).isoformat(timespec="microseconds").replace("+00:00", "Z")


def iso_or_none(message: Message, field: str) -> str | None:
    """Return the time in a message's field, in the form of ``iso``, or None if it is not set."""
    return iso(getattr(message, field)) if message.HasField(field) else None


def seconds(duration: Duration) -> float:
    """Return a duration in seconds."""
    return duration.seconds + duration.nanos / 1e9


def seconds_between(start: Timestamp, end: Timestamp) -> float:
    """Return the seconds from ``start`` to ``end``."""
    return (end.seconds - start.seconds) + (end.nanos - start.nanos) / 1e9


def now() -> Timestamp:
    """Return the current time."""
    time = Timestamp()
    time.GetCurrentTime()
    return time


def local(time: Timestamp) -> str:
    """Return a time in the local time zone, as in ``2026-01-31 09:15:00``."""
    return f"{_utc(time).astimezone():%Y-%m-%d %H:%M:%S}"


def local_clock(time: Timestamp) -> str:
    """Return the time of day in the local time zone, to the millisecond."""
    return _utc(time).astimezone().time().isoformat(timespec="milliseconds")


def age(time: Timestamp, at: Timestamp) -> str:
    """Return how long before ``at`` a time was, in its largest unit: ``4s``, ``12m``, ``3h``, ``9d``.

    A time after ``at`` (if two clocks differ) is ``0s`` old.
    """
    elapsed = max(0, int(seconds_between(time, at)))
    for unit, length in (("d", _DAY), ("h", _HOUR), ("m", _MINUTE)):
        if elapsed >= length:
            return f"{elapsed // length}{unit}"
    return f"{elapsed}s"


def moment(time: Timestamp, at: Timestamp) -> str:
    """Return a time in the local time zone, and how far before or after ``at`` it is."""
    if seconds_between(at, time) > 0:
        return f"{local(time)} (in {age(at, time)})"
    return f"{local(time)} ({age(time, at)} ago)"


def span(length: float) -> str:
    """Return a duration in seconds, for people: ``0.8ms``, ``120ms``, ``4.25s``, ``3m 07s``."""
    if length < 0.01:  # noqa: PLR2004 - below this, tenths of a millisecond are shown
        return f"{length * 1000:.1f}ms"
    if length < 1:
        return f"{length * 1000:.0f}ms"
    if length < _MINUTE:
        return f"{length:.2f}s"
    whole = int(length)
    if whole < _HOUR:
        return f"{whole // _MINUTE}m {whole % _MINUTE:02d}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h {whole % _HOUR // _MINUTE:02d}m"
    return f"{whole // _DAY}d {whole % _DAY // _HOUR:02d}h"


def _utc(time: Timestamp) -> datetime:
    return time.ToDatetime(tzinfo=UTC)
