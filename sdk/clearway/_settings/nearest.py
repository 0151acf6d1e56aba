"""Finds the known name that is closest to a misspelt one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_LIKE: Final = 0.6
_SAME_WORDS: Final = 0.3
_LONGEST: Final = 100
"""How many characters of a name are compared and shown; comparing takes quadratic time."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that is most similar to ``name``, or an empty string if none is similar.

    Names are similar if their spelling is, or if all words of one are in the other, as with ``lease`` and
    ``lease_seconds``.
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
    """Return an untrusted name in a form that is safe in messages: shortened, in printable ASCII."""
    return ascii(name[:_LONGEST])[1:-1]
