"""Lengths of time as people write them."""

from __future__ import annotations

from typing import Final

_MINUTE: Final = 60
_HOUR: Final = 3_600
_SHORTEST: Final = 0.05


def span(seconds: float) -> str:
    """Return a length of time, rounded: ``0.1 s``, ``2 min 5 s``, ``1 h 10 min``."""
    if round(seconds, 1) < _MINUTE:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"


def after(seconds: float) -> str:
    """Return ``in 0.1 s``, or ``at once`` if that is what the delay rounds to."""
    return f"in {span(seconds)}" if seconds >= _SHORTEST else "at once"
