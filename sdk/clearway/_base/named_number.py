"""Enums of protocol numbers that print as names."""

from __future__ import annotations

import enum


class NamedNumber(enum.IntEnum):
    """An ``IntEnum`` whose members print as their names: ``f"{StateType.COMPLETED}"`` is ``COMPLETED``.

    Numeric format specifications, such as ``:d``, still print the number.
    """

    def __str__(self) -> str:
        return self.name

    def __format__(self, spec: str) -> str:
        try:
            return format(self.name, spec)
        except ValueError:
            return format(int(self), spec)
