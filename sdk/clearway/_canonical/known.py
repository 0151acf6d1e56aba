"""Canonical texts of objects that are arguments of many calls, computed once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from threading import Lock
from typing import Any, Final


class KnownTexts:
    """The canonical texts of objects that are passed to many calls, such as ``unmapped`` arguments."""

    __slots__ = ("_guard", "_texts", "_values")

    def __init__(self, values: Iterable[Any] = ()) -> None:
        self._values = {id(value): value for value in values}
        self._texts: dict[int, bytes] = {}
        self._guard = Lock()  # the runs of a map compute their keys at the same time

    def add(self, value: Any) -> None:
        """Add another object that is passed to many calls."""
        self._values[id(value)] = value

    def text(self, value: Any, make: Callable[[Any], bytes]) -> bytes | None:
        """Return the text of a shared argument, which ``make`` computes once; None if it is not shared."""
        if id(value) not in self._values:
            return None
        with self._guard:
            text = self._texts.get(id(value))
            if text is None:
                text = self._texts[id(value)] = make(value)
            return text


known_texts: Final[ContextVar[KnownTexts | None]] = ContextVar("clearway_known_texts", default=None)
"""The arguments that the run whose key is being computed shares with other runs."""
