"""The decision that a proposal will have."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError

import pytest

from clearway._transport.decision_future import DecisionFuture
from clearway.v1.proposal_pb2 import Decision

DECISION = Decision(run_id="run")


def test_a_decision_that_came_is_the_result() -> None:
    future = DecisionFuture()
    assert not future.done()
    assert future.resolve(DECISION)
    assert future.done()
    assert future.result() is DECISION
    assert future.exception() is None


def test_an_exception_in_its_place_is_raised() -> None:
    future = DecisionFuture()
    assert future.fail(ValueError("refused"))
    assert isinstance(future.exception(), ValueError)
    with pytest.raises(ValueError, match="refused"):
        future.result()


def test_one_that_was_cancelled_says_so() -> None:
    future = DecisionFuture()
    assert future.cancel()
    assert future.cancelled()
    with pytest.raises(CancelledError):
        future.result()


def test_only_the_first_counts() -> None:
    future = DecisionFuture()
    assert future.resolve(DECISION)
    assert not future.fail(ValueError("late"))
    assert not future.cancel()
    assert future.result() is DECISION
    assert not future.cancelled()


def test_who_asked_before_and_who_asks_after_are_told_in_order() -> None:
    future = DecisionFuture()
    told: list[tuple[str, DecisionFuture]] = []
    future.add_done_callback(lambda it: told.append(("first", it)))
    future.add_done_callback(lambda it: told.append(("second", it)))
    assert not told
    future.resolve(DECISION)
    future.add_done_callback(lambda it: told.append(("after", it)))
    assert told == [("first", future), ("second", future), ("after", future)]


def test_a_callback_that_fails_keeps_the_others_from_nothing(caplog: pytest.LogCaptureFixture) -> None:
    future = DecisionFuture()
    told: list[DecisionFuture] = []

    def fail(_: object) -> None:
        raise ValueError("broken")

    future.add_done_callback(fail)
    future.add_done_callback(told.append)
    future.resolve(DECISION)
    assert told == [future]
    assert "the callback of a decision failed" in caplog.text


def test_a_thread_that_waits_goes_on_when_it_comes() -> None:
    future = DecisionFuture()
    results: list[Decision] = []
    thread = threading.Thread(target=lambda: results.append(future.result(30)))
    thread.start()
    future.resolve(DECISION)
    thread.join(30)
    assert results == [DECISION]


def test_what_does_not_come_in_time_is_not_waited_for() -> None:
    with pytest.raises(TimeoutError):
        DecisionFuture().result(0)
