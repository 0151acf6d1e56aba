"""Warnings about how flows and tasks are defined, which point to the line that defines them."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from clearway.exceptions import DefinitionWarning

_PACKAGE = str(Path(__file__).parent.parent)


def warn_of_definition(message: str) -> None:
    """Warn of a definition that works, and is probably not what was meant."""
    level, frame = 1, sys._getframe()  # noqa: SLF001 - the warning is to name the user's line, however deep we are
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, DefinitionWarning, stacklevel=level)
