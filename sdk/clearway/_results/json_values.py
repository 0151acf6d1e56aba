"""Tells which values survive a JSON round trip: read back, they are equal and of the same type."""

from __future__ import annotations

import json
import math
from typing import Any, Final

_MAX_DEPTH: Final = 100
_MAX_INT: Final = 2**63
_ATOMS: Final = frozenset({str, bool, type(None)})
# JSON writes a shared list or dict once for each reference to it; these limits allow a little of that.
_MAX_REPEATED: Final = 100_000
_MAX_AGAIN: Final = 4

dump_json: Final = json.JSONEncoder(allow_nan=False, check_circular=False, separators=(",", ":")).encode


def is_exact_json(value: Any) -> bool:
    """Return True if JSON represents a value exactly.

    That is the case for None, bool, 64-bit int, finite float, str, and lists and dicts of these. It is not
    the case for instances of subclasses, which JSON would lose; for dicts with keys that are not strings; for
    values nested more than 100 deep; and for values that refer to the same lists and dicts so often that the
    text would be much larger than the value.
    """
    kind = type(value)
    if kind is not list and kind is not dict:
        return _is_exact_atom(kind, value)
    level = {
        id(value): [value, 1]
    }  # the lists and dicts at one depth, each with the number of references to it
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
        if met > _MAX_AGAIN * len(distinct) + _MAX_REPEATED:  # most likely a cycle
            return False
        level = below
    return False


def _look(container: Any, times: int, below: dict[int, list[Any]]) -> bool:
    """Add a container's lists and dicts to ``below``; return True if JSON represents the rest exactly."""
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
