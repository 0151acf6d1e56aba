"""Texts of what all runs of a map are given are made once, whichever run asks first."""

from __future__ import annotations

import threading
from typing import Any

from clearway._canonical.known import KnownTexts


def test_threads_that_ask_at_the_same_time_have_it_made_once() -> None:
    value = [1]
    made: list[Any] = []
    texts = KnownTexts([value])
    start = threading.Barrier(8)

    def make(given: Any) -> bytes:
        made.append(given)
        threading.Event().wait(0.01)  # lets the others come
        return b"text"

    def ask() -> None:
        start.wait(30)
        assert texts.text(value, make) == b"text"

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert made == [value]


def test_only_what_was_noted_is_known() -> None:
    value, equal = [1], [1]
    texts = KnownTexts([value])
    assert texts.text(equal, lambda _: b"other") is None
    texts.add(equal)
    assert texts.text(equal, lambda _: b"other") == b"other"
