"""What an argument may be wrapped in, to say how a task or ``map`` is to take it."""
# ruff: noqa: N801 - used like functions, and known by these names

from __future__ import annotations

from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Annotation(Generic[T]):
    """An argument and how it is to be taken; the function is given the argument itself.

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
        """Return another argument that is to be taken in the same way."""
        return type(self)(value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Annotation) and type(other) is type(self) and bool(self.value == other.value)

    def __hash__(self) -> int:
        return hash((type(self), self.value))


class unmapped(Annotation[T]):
    """An argument of ``Task.map`` that is given whole to every run, though it could be iterated over.

    sum_plus.map(numbers, unmapped([1, 2, 3]))
    """

    __slots__ = ()


class allow_failure(Annotation[T]):
    """Futures and states whose runs may have failed: the task runs with the exception as its argument.

    It may stand around an argument, within a container, in ``wait_for``, or in ``map`` around what is mapped
    over. Only a run that ended as Failed is allowed; one that was cancelled, crashed or never began is not.

        clean_up.submit(allow_failure(load.submit()))
    """

    __slots__ = ()


class quote(Annotation[T]):
    """An argument that is not searched for futures and states, nor copied: large, or only passed on.

    train.submit(quote(table))
    """

    __slots__ = ()

    def unquote(self) -> T:
        """Return the argument itself."""
        return self.value
