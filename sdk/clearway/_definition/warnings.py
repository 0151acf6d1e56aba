"""Warnings about the definitions of flows and tasks, attributed to the user's line that defines them."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from clearway.exceptions import DefinitionWarning

_PACKAGE = str(Path(__file__).parent.parent)


def warn_of_definition(message: str) -> None:
    """Warn about a definition that works but is probably a mistake."""
    level, frame = 1, sys._getframe()  # noqa: SLF001 - to attribute the warning to the user's line
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, DefinitionWarning, stacklevel=level)
