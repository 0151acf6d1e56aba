"""The nearest right name to a wrong one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_LIKE: Final = 0.6
_SAME_WORDS: Final = 0.3
_LONGEST: Final = 100
"""As many characters of a name are compared and shown: comparing takes quadratic time."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that is most like ``name``; empty if none is like it.

    Spelling counts, and whether all words of one are in the other, as in ``lease`` and ``lease_seconds``.
    """
    from difflib import SequenceMatcher  # noqa: PLC0415 - few names are wrong

    name = name[:_LONGEST].lower()
    words = set(name.split("_"))

    def likeness(other: str) -> float:
        theirs = set(other.split("_"))
        bonus = _SAME_WORDS if words <= theirs or theirs <= words else 0.0
        return SequenceMatcher(None, name, other).ratio() + bonus

    best = max(known, key=likeness)
    return best if likeness(best) >= _LIKE else ""


def shown_name(name: str) -> str:
    """Return a name that anyone may have chosen as a message shows it: short, in printable ASCII."""
    return ascii(name[:_LONGEST])[1:-1]
