"""Texts of users on their way into the protocol, whose strings are UTF-8."""

from __future__ import annotations

from typing import Final

UNSIGNED: Final = "[unsigned] "
"""Begins a text that no signature covers, where results are signed."""


def encodable(text: str) -> str:
    r"""Return a text with lone surrogates, as of file names that are not UTF-8, written as ``\udce9``."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
