"""Subclasses of ``datetime`` and ``timedelta`` that deviate from them as much as pendulum's do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any


class Interval:
    """The difference of a foreign time and another time, which cannot be divided."""


class ForeignTime(datetime):
    """A time with its own operators."""

    def __sub__(self, other: Any) -> Any:
        return Interval()

    def __rsub__(self, other: Any) -> Any:
        return Interval()

    def __add__(self, other: Any) -> Any:
        raise TypeError("this class adds in its own way")

    __radd__ = __add__

    def astimezone(self, tz: Any = None) -> Any:  # noqa: ARG002 - as the base class has it
        raise TypeError("this class converts in its own way")


class ForeignLength(timedelta):
    """A duration with its own operators and components."""

    @property
    def days(self) -> int:
        raise AttributeError("this class counts in its own way")

    def __floordiv__(self, other: Any) -> Any:
        raise AttributeError("this class divides in its own way")


def foreign(at: datetime) -> ForeignTime:
    """Convert a time to the foreign class."""
    return ForeignTime(
        at.year, at.month, at.day, at.hour, at.minute, at.second, at.microsecond, at.tzinfo, fold=at.fold
    )


def foreign_now() -> ForeignTime:
    """Return the current time."""
    return foreign(datetime.now(UTC))
