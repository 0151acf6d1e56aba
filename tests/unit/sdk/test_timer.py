from __future__ import annotations

import threading

import pytest

from clearway._execution.deadlines.timer import Timer

SECONDS = 30.0


class Clock:
    """Stands still while a test says when calls are due, and is past them all afterwards."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("clearway._execution.deadlines.timer.time", clock)
    return clock


def test_functions_are_called_in_the_order_of_their_times(clock: Clock) -> None:
    timer, called, done = Timer(), list[str](), threading.Event()
    timer.call_later(0.03, done.set)
    timer.call_later(0.02, lambda: called.append("second"))
    timer.call_later(0.01, lambda: called.append("first"))
    clock.now = 1.0
    assert done.wait(SECONDS)
    assert called == ["first", "second"]


def test_what_is_cancelled_is_not_called(clock: Clock) -> None:
    timer, called, done = Timer(), list[str](), threading.Event()
    timer.call_later(0.01, lambda: called.append("cancelled")).cancel()
    timer.call_later(0.02, done.set)
    clock.now = 1.0
    assert done.wait(SECONDS)
    assert called == []


def test_one_that_raises_does_not_stop_the_others() -> None:
    timer, done = Timer(), threading.Event()

    def broken() -> None:
        raise ZeroDivisionError

    timer.call_later(0.0, broken)
    timer.call_later(0.01, done.set)
    assert done.wait(SECONDS)


def test_cancelled_watches_do_not_pile_up() -> None:
    timer = Timer()
    kept = timer.call_later(3_600, lambda: None)
    for _ in range(10_000):
        timer.call_later(3_600, lambda: None).cancel()
    assert len(timer._calls) <= 1_001
    assert any(call is kept for _, _, call in timer._calls)
