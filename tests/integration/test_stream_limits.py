"""Limits that change while runs hold slots and wait for them on streams."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clearway.v1.concurrency_limit_pb2 import (
    DeleteConcurrencyLimitRequest,
    GetConcurrencyLimitRequest,
    ResetConcurrencyLimitRequest,
    SetConcurrencyLimitRequest,
)
from clearway.v1.proposal_pb2 import (
    ABORT_REASON_LIMIT_ZERO,
)
from support.client import Client, Stream
from support.limits import get_limit, set_limit
from support.proposals import (
    RUNNING,
    create_flow,
    get_task,
    move,
    names,
    new_id,
    start,
)
from support.slots import finish, hold, stand


@pytest.fixture
def flow(caller: Client) -> str:
    return create_flow(caller).spec.id


@pytest.fixture
def stream(caller: Client) -> Iterator[Stream]:
    stream = caller.open()
    yield stream
    if not stream.ended:
        stream.say_goodbye()


def test_a_new_limit_counts_the_runs_that_run_already(caller: Client, stream: Stream, flow: str) -> None:
    tag = f"tag-{new_id()}"
    running = [hold(stream, flow, tag) for _ in range(3)]
    request = SetConcurrencyLimitRequest(tag=tag, limit=2)
    answer = caller.stub.SetConcurrencyLimit(request)
    assert set(answer.concurrency_limit.active_slots) == set(running)
    assert not answer.HasField("previous_limit")
    waits = stand(stream, flow, tag)
    finish(stream, running[0])
    assert len(stream.decisions(waits.id)) == 1
    finish(stream, running[1])
    assert stream.decision(waits.id).HasField("accept")


def test_a_raised_limit_wakes_who_waits_and_a_lowered_one_drains(
    caller: Client, stream: Stream, flow: str
) -> None:
    tag = set_limit(caller, 1)
    held = hold(stream, flow, tag)
    waiting = [stand(stream, flow, tag) for _ in range(3)]
    answer = caller.stub.SetConcurrencyLimit(SetConcurrencyLimitRequest(tag=tag, limit=3))
    assert answer.previous_limit == 1
    assert stream.decision(waiting[0].id).HasField("accept")
    assert stream.decision(waiting[1].id).HasField("accept")
    set_limit(caller, 1, tag)
    finish(stream, held, waiting[0].create_task_run.id)
    assert len(stream.decisions(waiting[2].id)) == 1
    assert names(caller, waiting[1].create_task_run.id) == ["Pending", "Running"]
    finish(stream, waiting[1].create_task_run.id)
    assert stream.decision(waiting[2].id).HasField("accept")


def test_a_deleted_limit_lets_all_go(caller: Client, stream: Stream, flow: str) -> None:
    tag = set_limit(caller, 1)
    hold(stream, flow, tag)
    waiting = [stand(stream, flow, tag) for _ in range(5)]
    caller.stub.DeleteConcurrencyLimit(DeleteConcurrencyLimitRequest(tag=tag))
    assert all(stream.decision(proposal.id).HasField("accept") for proposal in waiting)


def test_a_limit_of_zero_aborts_who_waits_and_who_comes_but_not_who_runs(
    caller: Client, stream: Stream, flow: str
) -> None:
    tag = set_limit(caller, 1)
    held = hold(stream, flow, tag)
    waits = stand(stream, flow, tag)
    set_limit(caller, 0, tag)
    aborted = stream.decision(waits.id)
    assert aborted.abort.reason == ABORT_REASON_LIMIT_ZERO
    assert tag in aborted.abort.message
    assert stream.decide(start(flow, tags=[tag])).abort.reason == ABORT_REASON_LIMIT_ZERO
    assert stream.decide(move(held, RUNNING)).HasField("accept")
    finish(stream, held)


def test_zero_aborts_who_waits_in_another_tags_queue(caller: Client, stream: Stream, flow: str) -> None:
    first, second = set_limit(caller, 1), set_limit(caller, 1)
    hold(stream, flow, second)
    waits = stand(stream, flow, first, second)
    set_limit(caller, 0, first)
    assert stream.decision(waits.id).abort.reason == ABORT_REASON_LIMIT_ZERO


def test_a_reset_takes_all_slots_back_and_lets_waiters_go(caller: Client, stream: Stream, flow: str) -> None:
    tag = set_limit(caller, 2)
    held = [hold(stream, flow, tag) for _ in range(2)]
    waiting = [stand(stream, flow, tag) for _ in range(3)]
    freed = caller.stub.ResetConcurrencyLimit(ResetConcurrencyLimitRequest(tag=tag)).freed
    assert [holder.task_run_id for holder in freed] == held
    assert {holder.client_name for holder in freed} == {"tester"}
    assert stream.decision(waiting[0].id).HasField("accept")
    assert stream.decision(waiting[1].id).HasField("accept")
    assert get_limit(caller, tag).waiting_count == 1
    # Those who lost their slots free none when they end.
    finish(stream, *held)
    assert len(stream.decisions(waiting[2].id)) == 1


def test_a_limit_shows_holders_and_waiters(caller: Client, flow: str) -> None:
    tag = set_limit(caller, 1)
    holder, waiter = caller.open(name="the holder"), caller.open(name="the waiter")
    run_id = hold(holder, flow, tag)
    proposals = [stand(waiter, flow, tag) for _ in range(2)]
    limit = get_limit(caller, tag)
    assert caller.stub.GetConcurrencyLimit(GetConcurrencyLimitRequest(id=limit.id)).concurrency_limit == limit
    (held,) = limit.holders
    run = get_task(caller, run_id)
    assert (held.task_run_id, held.task_run_name, held.flow_run_id) == (run_id, run.name, flow)
    assert (held.client_name, held.since) == ("the holder", run.state.timestamp)
    assert held.lease_expires.ToDatetime() > held.since.ToDatetime()
    assert [waiting.proposal_id for waiting in limit.waiters] == [each.id for each in proposals]
    assert [waiting.position for waiting in limit.waiters] == [1, 2]
    assert {waiting.client_name for waiting in limit.waiters} == {"the waiter"}
    assert limit.waiting == 2
    holder.say_goodbye()
    assert waiter.decision(proposals[0].id).HasField("accept")
    waiter.say_goodbye()
