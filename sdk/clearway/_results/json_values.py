"""Which values JSON holds exactly: read back, they are equal and of the same type."""

from __future__ import annotations

import json
import math
from typing import Any, Final

_MAX_DEPTH: Final = 100
_MAX_INT: Final = 2**63
_ATOMS: Final = frozenset({str, bool, type(None)})

dump_json: Final = json.JSONEncoder(allow_nan=False, check_circular=False, separators=(",", ":")).encode


def is_exact_json(value: Any, depth: int = 0) -> bool:
    """Return whether a value is None, a bool, a 64-bit int, a finite float, a str, or lists or dicts of them.

    Subclasses do not count, since JSON would lose them; nor do dictionaries with other keys than strings, or
    what is nested more than 100 deep (which ends the search in a list that holds itself).
    """
    kind = type(value)
    if kind in _ATOMS:
        return True
    if kind is int:
        return bool(-_MAX_INT <= value < _MAX_INT)
    if kind is float:
        return math.isfinite(value)
    if depth < _MAX_DEPTH:
        if kind is list:
            return all(is_exact_json(item, depth + 1) for item in value)
        if kind is dict:
            return all(type(key) is str and is_exact_json(item, depth + 1) for key, item in value.items())
    return False
