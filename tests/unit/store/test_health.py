"""Whether the store takes transactions: what changes it, and what is logged of it."""

from __future__ import annotations

import logging

import pytest

from clearway_service.store import health
from clearway_service.store.health import Health


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let the test say what time it is, in seconds, as the only item of a list."""
    now = [1000.0]
    monkeypatch.setattr(health.time, "monotonic", lambda: now[0])
    return now


def test_a_listener_hears_of_each_change_and_each_is_one_line(
    times: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    store, heard = Health(), []
    unsubscribe = store.subscribe(heard.append)
    for _ in range(1000):
        store.failed("disk I/O error")
    assert store.fault == "disk I/O error"
    times[0] += 10
    for _ in range(1000):
        store.committed()
    assert store.fault == ""
    assert heard == [True, False, True]
    lines = [(record.levelno, record.getMessage(), record.exc_info) for record in caplog.records]
    assert lines == [
        (logging.ERROR, "the store accepts no transactions: disk I/O error", None),
        (logging.WARNING, "the store accepts transactions again, after 10.0 s", None),
    ]
    unsubscribe()
    store.failed("again")
    assert heard == [True, False, True]


def test_a_store_that_fails_and_succeeds_in_turn_is_unhealthy_all_the_while(
    times: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    store, heard = Health(), []
    store.subscribe(heard.append)
    for _ in range(1000):
        store.failed("database or disk is full")
        times[0] += 0.01
        store.committed()
    assert heard == [True, False]
    assert len(caplog.records) == 1


def test_a_listener_that_comes_late_hears_how_it_is() -> None:
    store, heard = Health(), []
    store.failed("gone")
    store.subscribe(heard.append)
    assert heard == [False]
