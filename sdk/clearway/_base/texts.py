"""Texts of users on their way into the protocol, whose strings are UTF-8 and of limited length."""

from __future__ import annotations

from typing import Final

UNSIGNED: Final = "[unsigned] "
"""Begins a text that no signature covers, where results are signed."""


def encodable(text: str) -> str:
    r"""Return a text with lone surrogates, as of file names that are not UTF-8, written as ``\udce9``."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def shortened(text: str, length: int) -> str:
    """Return a text, or its beginning where it is longer than ``length``."""
    return text if len(text) <= length else f"{text[:length]}..."
