"""Makes users' texts safe for the protocol (valid UTF-8, limited length) and for terminals."""

from __future__ import annotations

import unicodedata
from typing import Final

UNSIGNED: Final = "[unsigned] "
"""Begins a text that no signature covers, in processes that sign their results."""

_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories: controls, format characters (they can hide or reverse text), surrogates, separators."""


def encodable(text: str) -> str:
    r"""Return a text with lone surrogates, as in file names that are not UTF-8, escaped as ``\udce9``."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def shortened(text: str, length: int) -> str:
    """Return a text, cut off with ``...`` if it is longer than ``length``."""
    return text if len(text) <= length else f"{text[:length]}..."


def plain(text: str, keep: str = "") -> str:
    r"""Return a text in which characters that control a terminal or break lines are escaped, as in ``\x1b``.

    Args:
        text: A name, or a message.
        keep: Characters that are not escaped, such as ``"\n\t"`` for a message of several lines.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in _UNSAFE and character not in keep
        else character
        for character in text
    )
