"""A digest of the arguments of a call."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from clearway._canonical.digest import arguments_digest
from unit.sdk.distinct_values import MAKERS


def test_equal_arguments_have_one_digest_and_others_another() -> None:
    digests = {arguments_digest({"x": make(), "y": 1}).digest for make in MAKERS.values()}
    assert len(digests) == len(MAKERS)
    assert digests == {arguments_digest({"y": 1, "x": make()}).digest for make in MAKERS.values()}
    assert {len(digest) for digest in digests} == {64}


def test_names_count() -> None:
    assert arguments_digest({"x": 1}) != arguments_digest({"y": 1})
    assert arguments_digest({}) != arguments_digest({"y": 1})


def test_long_arguments_have_one_too() -> None:
    rows = [{"id": number} for number in range(20_000)]
    assert arguments_digest({"x": rows}) == arguments_digest({"x": [dict(row) for row in rows]})
    assert arguments_digest({"x": rows}) != arguments_digest({"x": rows[1:]})


@pytest.mark.parametrize("value", [threading.Lock(), [{"a": threading.Lock()}]])
def test_without_a_digest_there_is_a_reason(value: Any) -> None:
    found = arguments_digest({"x": 1, "connection": value})
    assert found.digest == ""
    kind = type(value).__qualname__
    assert found.reason == (
        f"its argument 'connection', a {kind}, cannot be compared: cannot pickle '_thread.lock' object"
    )
