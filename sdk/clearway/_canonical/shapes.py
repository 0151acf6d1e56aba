"""Shapes: the content of a value, one level deep, as a tag that names its kind and its parts.

A value with the shape ``("$tuple", (1, 2), False)`` has the canonical form ``{"$tuple": [1, 2]}``. The parts
are values that have shapes themselves; the caller descends into them, so functions that return shapes need no
recursion.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

Shape: TypeAlias = tuple[str, Any, bool]
"""A tag; the parts, which are a list, tuple, dict or atom; True if the order of the parts is irrelevant."""


class UndigestibleError(TypeError):
    """A value has no content to hash, such as a lock or a generator."""


class Context(Protocol):
    """The options for computing shapes.

    Attributes:
        counts_globals: True if the globals that a function reads are part of its shape.
    """

    counts_globals: bool

    def class_digest(self, kind: type) -> str:
        """Return a digest of a class's content; empty while that is being computed."""
        ...
