"""The arguments that all runs of a map have in common, searched and resolved once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any

from clearway._canonical.known import KnownTexts
from clearway._execution.inputs.found import Found, Upstream, replace_upstreams
from clearway._execution.inputs.provenance import NO_PROVENANCE, Provenance


class SharedArguments:
    """The ``unmapped`` arguments of a map, and what its runs wait for.

    Attributes:
        texts: Their canonical texts, for the cache keys of the runs.
    """

    __slots__ = ("_found", "_guard", "_resolved", "_values", "texts")

    def __init__(self, values: Iterable[Any] = (), provenance: Provenance = NO_PROVENANCE) -> None:
        """Search the arguments.

        Args:
            values: The arguments. They are kept, so that their ids stay unique.
            provenance: Which task run produced which object.
        """
        self._values = {id(value): value for value in values}
        self._found = {number: Found(value, provenance) for number, value in self._values.items()}
        self._resolved: dict[int, Any] = {}
        self._guard = Lock()
        self.texts = KnownTexts(self._values.values())

    def __bool__(self) -> bool:
        return bool(self._values)

    def found(self, value: Any) -> Found | None:
        """Return what was found in one of the arguments; None for any other value."""
        return self._found.get(id(value))

    def resolved(self, value: Any, result_of: Callable[[Upstream], Any]) -> Any:
        """Return one of the arguments with futures and states replaced; the same object for all runs."""
        with self._guard:
            number = id(value)
            if number not in self._resolved:
                found = self._found[number]
                self._resolved[number] = replace_upstreams(value, result_of) if found.to_resolve else value
                self.texts.add(self._resolved[number])
            return self._resolved[number]


NOT_SHARED = SharedArguments()
