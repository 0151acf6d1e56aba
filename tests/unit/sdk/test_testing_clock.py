"""The clock of a service under test, and what it knows of what goes on."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo

import pytest

from clearway._transport.decision_future import DecisionFuture
from clearway.testing import _clock
from clearway.testing._activity import Activity
from clearway.testing._clock import Clock
from clearway.v1.proposal_pb2 import Abort, Accept, Decision, Proposal
from support.proposals import COMPLETED, RUNNING, move, move_flow, start

SECONDS = 30.0


@pytest.fixture
def activity() -> Activity:
    return Activity()


@pytest.fixture
def clock(activity: Activity) -> Iterator[Clock]:
    clock = Clock(activity, skips_waits=False)
    clock.start(lambda: None)
    yield clock
    clock.close()


def told(proposal: Proposal, **answer: object) -> DecisionFuture:
    future = DecisionFuture()
    future.resolve(Decision(proposal_id=proposal.id, run_id=proposal.task_run_id or "run", **answer))
    return future


def test_what_is_due_is_called_in_order(clock: Clock) -> None:
    called: queue.SimpleQueue[tuple[str, timedelta]] = queue.SimpleQueue()
    begun = clock.now()
    for name, minutes in [("second", 20), ("third", 30), ("first", 10)]:
        clock.call_later(60 * minutes, lambda name=name: called.put((name, clock.now() - begun)))
    clock.skips_waits = True
    order = [called.get(timeout=SECONDS) for _ in range(3)]
    assert [name for name, _ in order] == ["first", "second", "third"]
    for (_, passed), minutes in zip(order, (10, 20, 30), strict=True):
        assert timedelta(minutes=minutes) <= passed < timedelta(minutes=minutes + 9)


def test_nothing_is_called_before_its_time(clock: Clock) -> None:
    called: queue.SimpleQueue[str] = queue.SimpleQueue()
    clock.call_later(3600, called.put, "late")
    clock.call_later(60, called.put, "early")
    clock.advance(seconds=60)
    assert called.get(timeout=SECONDS) == "early"
    assert clock.until_a_run_waits() > timedelta(minutes=50)
    assert called.empty()


def test_time_does_not_jump_while_something_goes_on(clock: Clock, activity: Activity) -> None:
    called: queue.SimpleQueue[str] = queue.SimpleQueue()
    activity.began()
    clock.skips_waits = True
    clock.call_later(3600, called.put, "due")
    for _ in range(5):  # the next of these is called only after the clock has looked
        clock.call_later(0.01, called.put, "passes")
        assert called.get(timeout=SECONDS) == "passes"
    activity.ended()
    assert called.get(timeout=SECONDS) == "due"


def test_what_waits_is_woken_when_the_clock_is_closed(activity: Activity) -> None:
    called: queue.SimpleQueue[str] = queue.SimpleQueue()
    clock = Clock(activity, skips_waits=False)
    clock.start(lambda: None)
    clock.call_later(3600, called.put, "before")
    clock.close()
    clock.call_later(3600, called.put, "after")
    assert [called.get(timeout=SECONDS) for _ in range(2)] == ["before", "after"]
    clock.sleep(3600)


def test_all_is_still_at_first(activity: Activity) -> None:
    assert activity.is_still()


def test_a_proposal_is_under_way_until_it_is_decided(activity: Activity) -> None:
    proposal = start("flow")
    activity.proposed(proposal)
    assert not activity.is_still()
    activity.decided(proposal, told(proposal, abort=Abort()))
    assert activity.is_still()


def test_a_proposal_in_the_queue_waits(activity: Activity) -> None:
    proposal = start("flow")
    activity.proposed(proposal)
    activity.queued(proposal.id)
    assert activity.is_still()
    activity.decided(proposal, told(proposal, accept=Accept()))
    assert not activity.is_still()


def test_the_code_of_a_task_runs_until_another_state_is_proposed(activity: Activity) -> None:
    begun = move("run", RUNNING)
    activity.proposed(begun)
    activity.decided(begun, told(begun, accept=Accept()))
    assert not activity.is_still()
    ended = move("run", COMPLETED)
    activity.proposed(ended)
    activity.decided(ended, told(ended, accept=Accept()))
    assert activity.is_still()


def test_code_that_waits_for_another_run_does_not_run(activity: Activity) -> None:
    begun = move("run", RUNNING)
    activity.proposed(begun)
    activity.decided(begun, told(begun, accept=Accept()))
    activity.awaits("run", "other")
    assert activity.is_still()
    activity.awaits("run", "")
    assert not activity.is_still()


def test_the_code_of_a_flow_does_not_count(activity: Activity) -> None:
    begun = move_flow("flow", RUNNING)
    activity.proposed(begun)
    activity.decided(begun, told(begun, accept=Accept()))
    assert activity.is_still()


def test_a_proposal_that_was_withdrawn_is_over(activity: Activity) -> None:
    proposal = start("flow")
    activity.proposed(proposal)
    future = DecisionFuture()
    future.cancel()
    activity.decided(proposal, future)
    assert activity.is_still()


@pytest.mark.parametrize("hours", [-3, 3], ids=["back", "forward"])
def test_it_does_not_follow_the_system_s_time_where_that_is_set(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    class Set(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.now(tz) + timedelta(hours=hours)

    begun = clock.now()
    monkeypatch.setattr(_clock, "datetime", Set)
    assert timedelta(0) <= clock.now() - begun < timedelta(hours=1)
