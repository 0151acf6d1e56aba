"""Which values JSON holds exactly: read back, they are equal and of the same type."""

from __future__ import annotations

import json
import math
from typing import Any, Final

_MAX_DEPTH: Final = 100
_MAX_INT: Final = 2**63
_ATOMS: Final = frozenset({str, bool, type(None)})
# What is shared is written as often as it is there. JSON is fine for a little of that.
_MAX_REPEATED: Final = 100_000
_MAX_AGAIN: Final = 4

dump_json: Final = json.JSONEncoder(allow_nan=False, check_circular=False, separators=(",", ":")).encode


def is_exact_json(value: Any) -> bool:
    """Return whether a value is None, a bool, a 64-bit int, a finite float, a str, or lists or dicts of them.

    Subclasses do not count, since JSON would lose them; nor do dictionaries with other keys than strings,
    what is nested more than 100 deep, or what holds the same lists and dictionaries so often that the text
    would be much longer than they are.
    """
    kind = type(value)
    if kind is not list and kind is not dict:
        return _is_exact_atom(kind, value)
    level = {
        id(value): [value, 1]
    }  # the lists and dictionaries at one depth, each with how often it is there
    distinct: set[int] = set()
    looked_at = written = met = 0
    for _ in range(_MAX_DEPTH):
        below: dict[int, list[Any]] = {}
        for container, times in level.values():
            looked_at += len(container)
            written += times * len(container)
            if not _look(container, times, below):
                return False
        if not below:
            return written <= looked_at + _MAX_REPEATED
        distinct.update(below)
        met += len(below)
        if met > _MAX_AGAIN * len(distinct) + _MAX_REPEATED:  # mostly what holds itself
            return False
        level = below
    return False


def _look(container: Any, times: int, below: dict[int, list[Any]]) -> bool:
    """Note the lists and dictionaries in one; return whether JSON holds the rest exactly."""
    if type(container) is dict:
        for key in container:
            if type(key) is not str:
                return False
        container = container.values()
    for item in container:
        kind = type(item)
        if kind in _ATOMS:
            continue
        if kind is list or kind is dict:
            known = below.get(id(item))
            if known is None:
                below[id(item)] = [item, times]
            else:
                known[1] += times
        elif not _is_exact_atom(kind, item):
            return False
    return True


def _is_exact_atom(kind: type, value: Any) -> bool:
    if kind is int:
        return bool(-_MAX_INT <= value < _MAX_INT)
    return kind in _ATOMS or (kind is float and math.isfinite(value))
