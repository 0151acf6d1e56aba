"""Wrappers for arguments that change how a task call or ``map`` treats them."""
# ruff: noqa: N801 - used like functions, so named like functions

from __future__ import annotations

from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Annotation(Generic[T]):
    """The base of the wrappers; the task's function gets the wrapped argument itself.

    Attributes:
        value: The argument.
    """

    __slots__ = ("value",)

    def __init__(self, value: T) -> None:
        self.value = value

    def unwrap(self) -> T:
        """Return the argument itself."""
        return self.value

    def rewrap(self, value: Any) -> Annotation[Any]:
        """Return another argument in the same wrapper."""
        return type(self)(value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Annotation) and type(other) is type(self) and bool(self.value == other.value)

    def __hash__(self) -> int:
        return hash((type(self), self.value))


class unmapped(Annotation[T]):
    """Passes an iterable argument of ``Task.map`` to every run whole, instead of one element to each.

    sum_plus.map(numbers, unmapped([1, 2, 3]))
    """

    __slots__ = ()


class allow_failure(Annotation[T]):
    """Lets a task run even if an upstream run failed; the task gets the exception as its argument.

        clean_up.submit(allow_failure(load.submit()))

    Wrap a future or state: an argument, part of a container, an element of ``wait_for``, or what ``map``
    iterates over. It applies only to runs that ended as Failed, not to runs that were cancelled, crashed or
    never started.
    """

    __slots__ = ()


class quote(Annotation[T]):
    """Passes an argument as it is, neither copied nor searched for futures and states; for large data.

    train.submit(quote(table))
    """

    __slots__ = ()

    def unquote(self) -> T:
        """Return the argument itself."""
        return self.value
