"""Texts of users on their way into the protocol, whose strings are UTF-8."""

from __future__ import annotations


def encodable(text: str) -> str:
    r"""Return a text with lone surrogates, as of file names that are not UTF-8, written as ``\udce9``."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
