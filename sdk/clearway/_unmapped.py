"""Arguments that ``map`` passes on as they are."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

T = TypeVar("T")


class unmapped(Generic[T]):  # noqa: N801 - used like a function, and known by this name
    """An argument of ``Task.map`` that is given whole to every run, though it could be iterated over.

    sum_plus.map(numbers, unmapped([1, 2, 3]))
    """

    __slots__ = ("value",)

    def __init__(self, value: T) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"unmapped({self.value!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, unmapped) and bool(self.value == other.value)

    def __hash__(self) -> int:
        return hash((unmapped, self.value))


def value_of(argument: Any) -> Any:
    """Return what ``argument`` stands for."""
    return argument.value if isinstance(argument, unmapped) else argument
