"""Short ids: as short as tells them apart, and found again."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearway._base.ids import new_id
from clearway_cli import _ids


def uuids(number: int, seed: int = 1, common: int = 0) -> list[str]:
    """Return ids whose first ``common`` bits are alike."""
    draw = random.Random(seed)
    begin = draw.getrandbits(128) >> (128 - common) << (128 - common)
    return [str(UUID(int=begin | draw.getrandbits(128 - common))) for _ in range(number)]


@given(st.integers(1, 200), st.integers(0, 2**32), st.sampled_from([0, 48, 64, 100]))
def test_short_ids_tell_runs_apart_and_are_prefixes_of_them(number: int, seed: int, common: int) -> None:
    ids = uuids(number, seed, common)
    short = _ids.shortened(ids)
    assert len({*short.values()}) == len({*ids})
    for each, beginning in short.items():
        assert each.startswith(beginning)
        assert len(beginning) >= 13
        assert _ids.prefix_in(beginning) == beginning or _ids.is_whole(beginning)


def test_ids_that_are_not_there_have_no_short_one() -> None:
    assert _ids.shortened(["", ""]) == {}


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("0198", "0198"),
        ("0198C5A1", "0198c5a1"),
        ("0198c5a1-", "0198c5a1"),
        ("0198c5a17c", "0198c5a1-7c"),
        ("0198c5a1-7c1e-7d3a-9f52-3f1d2a6b8c4", "0198c5a1-7c1e-7d3a-9f52-3f1d2a6b8c4"),
        ("019", ""),
        ("0198-c5a1", ""),
        ("load-0", ""),
        ("", ""),
        ("٠١٩٨", ""),
        ("0198%", ""),
    ],
)
def test_a_text_is_the_beginning_of_an_id_or_not(text: str, prefix: str) -> None:
    assert _ids.prefix_in(text) == prefix


@pytest.mark.parametrize("length", [4, 8, 10, 13, 18, 30])
def test_a_beginning_of_an_id_says_when_it_was_made(length: int) -> None:
    before = datetime.fromtimestamp(time.time(), UTC) - timedelta(seconds=1)
    made = new_id()
    window = _ids.window_of(made[:length])
    assert window is not None
    assert window.begin <= datetime.now(UTC)
    assert window.end >= before


def test_an_id_of_no_time_has_no_window() -> None:
    assert _ids.window_of("ffff") is None
