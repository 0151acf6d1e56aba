from __future__ import annotations

import threading

from clearway._execution.deadlines.timer import Watchdog

SECONDS = 30.0


def test_functions_are_called_in_the_order_of_their_times() -> None:
    watchdog, called, done = Watchdog(), list[str](), threading.Event()
    watchdog.watch(0.02, done.set)
    watchdog.watch(0.01, lambda: called.append("second"))
    watchdog.watch(0.0, lambda: called.append("first"))
    assert done.wait(SECONDS)
    assert called == ["first", "second"]


def test_what_is_cancelled_is_not_called() -> None:
    watchdog, called, done = Watchdog(), list[str](), threading.Event()
    watchdog.watch(0.01, lambda: called.append("cancelled")).cancel()
    watchdog.watch(0.02, done.set)
    assert done.wait(SECONDS)
    assert called == []


def test_one_that_raises_does_not_stop_the_others() -> None:
    watchdog, done = Watchdog(), threading.Event()

    def broken() -> None:
        raise ZeroDivisionError

    watchdog.watch(0.0, broken)
    watchdog.watch(0.01, done.set)
    assert done.wait(SECONDS)


def test_cancelled_watches_do_not_pile_up() -> None:
    watchdog = Watchdog()
    kept = watchdog.watch(3_600, lambda: None)
    for _ in range(10_000):
        watchdog.watch(3_600, lambda: None).cancel()
    assert len(watchdog._watches) <= 1_001
    assert any(watch is kept for _, _, watch in watchdog._watches)
