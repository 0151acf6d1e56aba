"""Converts times and durations between the protocol's messages and Python's classes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from clearway._base.plain_times import EPOCH, micros_of, since_epoch

if TYPE_CHECKING:
    from google.protobuf.message import Message


def timestamp_to_proto(at: datetime) -> Timestamp:
    """Return a time, which must have a time zone, as a protocol message."""
    micros = micros_of(since_epoch(at))
    return Timestamp(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1_000)


def timestamp_from_proto(message: Timestamp) -> datetime:
    """Return the time that a protocol message holds, in UTC, to the microsecond."""
    return EPOCH + timedelta(0, message.seconds, message.nanos // 1_000)


def duration_to_proto(length: timedelta) -> Duration:
    """Return a duration as a protocol message."""
    micros = micros_of(length)
    sign = -1 if micros < 0 else 1
    seconds, rest = divmod(abs(micros), 1_000_000)
    return Duration(seconds=sign * seconds, nanos=sign * rest * 1_000)


def duration_from_proto(message: Duration) -> timedelta:
    """Return the duration that a protocol message holds, to the microsecond."""
    return timedelta(seconds=message.seconds, microseconds=message.nanos / 1_000)


def optional_time(message: Message, field: str) -> datetime | None:
    """Return the time in a field of a protocol message, or None if the field is not set."""
    return timestamp_from_proto(getattr(message, field)) if message.HasField(field) else None
