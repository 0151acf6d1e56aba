"""Texts: escapes text from clients, so that it can neither control a terminal nor forge log lines."""

from __future__ import annotations

import unicodedata

# Control characters, format characters (which hide or reverse text), surrogates and line separators.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def plain(text: str) -> str:
    r"""Return text with unsafe characters escaped, as ``\x1b`` or ``\n``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in _UNSAFE
        else character
        for character in text
    )
