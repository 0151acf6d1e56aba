"""Subclasses of ``datetime`` and ``timedelta`` that are as far from them as those of pendulum are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any


class Interval:
    """What a foreign time less another time is: nothing that can be divided."""


class ForeignTime(datetime):
    """A time with operators of its own."""

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
    """A length of time with operators and parts of its own."""

    @property
    def days(self) -> int:
        raise AttributeError("this class counts in its own way")

    def __floordiv__(self, other: Any) -> Any:
        raise AttributeError("this class divides in its own way")


def foreign(at: datetime) -> ForeignTime:
    """Return a time as one of the foreign class."""
    return ForeignTime(
        at.year, at.month, at.day, at.hour, at.minute, at.second, at.microsecond, at.tzinfo, fold=at.fold
    )


def foreign_now() -> ForeignTime:
    """Return the present time."""
    return foreign(datetime.now(UTC))
