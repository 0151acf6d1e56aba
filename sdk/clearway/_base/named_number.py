"""Numbers of the protocol that users see as names."""

from __future__ import annotations

import enum


class NamedNumber(enum.IntEnum):
    """An ``IntEnum`` that is printed as its name: ``f"{StateType.COMPLETED}"`` is ``COMPLETED``.

    Formats of numbers, such as ``:d``, still give the number.
    """

    def __str__(self) -> str:
        return self.name

    def __format__(self, spec: str) -> str:
        try:
            return format(self.name, spec)
        except ValueError:
            return format(int(self), spec)
