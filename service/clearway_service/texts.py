"""Texts of clients where people read them: nothing in one steers a terminal, or looks like a line of ours."""

from __future__ import annotations

import unicodedata

# Control characters, formats (they hide text, or turn its direction), surrogates, separators of lines.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def plain(text: str) -> str:
    r"""Return a name with what could steer a terminal, or begin a line, written as ``\x1b`` or ``\n``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in _UNSAFE
        else character
        for character in text
    )
