"""Names of clients where people read them; the SDK and the service write them alike."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from clearway._base import texts as sdk_texts
from clearway_service import texts

EVIL = "a\x1b[31mb\nc\u202e"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain, with ümlauts, 漢字 and a 🦊", "plain, with ümlauts, 漢字 and a 🦊"),
        (EVIL, "a\\x1b[31mb\\nc\\u202e"),
        ("tab\tbell\x07return\rdelete\x7f", "tab\\tbell\\x07return\\rdelete\\x7f"),
        ("C1 \x9b31m", "C1 \\x9b31m"),
        ("two\u2028lines\u2029here", "two\\u2028lines\\u2029here"),
        ("turned \u2066over\u2069", "turned \\u2066over\\u2069"),
        ("half a pair \ud800", "half a pair \\ud800"),
        ("hidden \U000e0041", "hidden \\U000e0041"),
        ("", ""),
    ],
)
def test_a_name_cannot_steer_a_terminal_or_begin_a_line(name: str, shown: str) -> None:
    assert texts.plain(name) == sdk_texts.plain(name) == shown


def test_no_character_is_left_that_does_something() -> None:
    left = set(texts.plain("".join(map(chr, range(sys.maxunicode + 1)))))
    assert not {unicodedata.category(character) for character in left} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


def test_a_message_keeps_its_lines() -> None:
    assert sdk_texts.plain("first\n\tsecond\x1b[2J", "\n\t") == "first\n\tsecond\\x1b[2J"
