"""Texts of users: on their way into the protocol, in UTF-8 and of limited length, and onto terminals."""

from __future__ import annotations

import unicodedata
from typing import Final

UNSIGNED: Final = "[unsigned] "
"""Begins a text that no signature covers, where results are signed."""

_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Control characters, formats (they hide text, or turn its direction), surrogates, separators of lines."""


def encodable(text: str) -> str:
    r"""Return a text with lone surrogates, as of file names that are not UTF-8, written as ``\udce9``."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def shortened(text: str, length: int) -> str:
    """Return a text, or its beginning where it is longer than ``length``."""
    return text if len(text) <= length else f"{text[:length]}..."


def plain(text: str, keep: str = "") -> str:
    r"""Return a text with what could steer a terminal, or begin a line, written as ``\x1b`` or ``\n``.

    Args:
        text: A name, or with ``keep`` a message.
        keep: Characters to leave as they are: ``"\n\t"`` for a message of more than one line.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in _UNSAFE and character not in keep
        else character
        for character in text
    )
