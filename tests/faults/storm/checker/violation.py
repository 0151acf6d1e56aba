"""A violation of a rule."""

from __future__ import annotations

from typing import NamedTuple


class Violation(NamedTuple):
    """What was found wrong.

    Attributes:
        rule: Which rule, in a few words.
        what: What it was found in.
    """

    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"
