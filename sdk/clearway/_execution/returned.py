"""What a user's function returned."""

from __future__ import annotations

from types import GeneratorType
from typing import Any


def as_data(value: Any) -> Any:
    """Return what a function returned; of a generator, which can be gone over but once, a list."""
    return list(value) if type(value) is GeneratorType else value
