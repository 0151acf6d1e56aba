"""A violation of a rule."""

from __future__ import annotations

from typing import NamedTuple


class Violation(NamedTuple):
    """A violation found by the checker.

    Attributes:
        rule: The violated rule, in a few words.
        what: Where it was found.
    """

    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"
