"""What a value is made of, one level deep: a tag that names its kind, and its parts.

``{"$tuple": [1, 2]}`` is the form of a value with the shape ``("$tuple", (1, 2), False)``. The parts are
values themselves; what makes texts of them walks down. So no function here calls itself, however deep a value
is.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

Shape: TypeAlias = tuple[str, Any, bool]
"""A tag; the parts, which are a list, a tuple, a dictionary or an atom; whether their order says nothing."""


class UndigestibleError(TypeError):
    """A value has no content that could be read, such as a lock or a generator."""


class Context(Protocol):
    """What the makers of shapes need to know.

    Attributes:
        counts_globals: Whether the globals that a function reads are part of it.
    """

    counts_globals: bool

    def class_digest(self, kind: type) -> str:
        """Return a digest of what a class is made of; empty while that is being computed."""
        ...
