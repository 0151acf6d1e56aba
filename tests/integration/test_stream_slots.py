"""Slots on the stream: who waits is told by itself, and in order."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from grpc import StatusCode

from clearway.v1.proposal_pb2 import (
    ABORT_REASON_HELD,
    ABORT_REASON_TERMINAL,
    Proposal,
)
from support.client import Client, Stream
from support.database import most_running, slots_of_the_dead
from support.limits import get_limit, held_by, set_limit
from support.proposals import (
    CANCELLED,
    COMPLETED,
    CRASHED,
    FAILED,
    PENDING,
    RUNNING,
    create_flow,
    create_task,
    get_task,
    move,
    names,
    new_id,
    start,
    with_key,
    with_result,
)
from support.server import Server
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


def test_a_wait_says_why_and_which_place(caller: Client, stream: Stream, flow: str) -> None:
    tag, free = set_limit(caller, 1), set_limit(caller, 9)
    hold(stream, flow, tag)
    for place in (1, 2, 3):
        decision = stream.decide(start(flow, tags=[tag, free]))
        assert decision.wait.queued
        assert not decision.wait.HasField("retry_after")
        assert list(decision.wait.blocking_tags) == [tag]
        assert tag in decision.wait.message
        assert decision.wait.position == place
        assert decision.state.name == "Pending"
    assert held_by(caller, free) == []


def test_slots_are_handed_on_in_the_order_of_asking(caller: Client, flow: str) -> None:
    tag = set_limit(caller, 1)
    streams = [caller.open(name=f"client {number}") for number in range(3)]
    held = hold(streams[0], flow, tag)
    waiting = [(stream, stand(stream, flow, tag)) for stream in streams * 2]
    for stream, proposal in waiting:
        finish(streams[0], held)
        assert stream.decision(proposal.id).HasField("accept")
        held = proposal.create_task_run.id
        assert held_by(caller, tag) == [held]
        streams[0] = stream
    for stream in {id(stream): stream for stream, _ in waiting}.values():
        stream.say_goodbye()


def test_a_terminal_state_of_any_kind_frees_the_slots(caller: Client, stream: Stream, flow: str) -> None:
    tag, other = set_limit(caller, 1), set_limit(caller, 1)
    held = hold(stream, flow, tag, other)
    for ending in (COMPLETED, FAILED, CANCELLED, CRASHED):
        proposal = stand(stream, flow, tag, other)
        assert stream.decide(move(held, ending)).HasField("accept")
        assert stream.decision(proposal.id).HasField("accept")
        held = proposal.create_task_run.id


def test_a_run_that_awaits_its_retry_holds_no_slot(caller: Client, stream: Stream, flow: str) -> None:
    tag = set_limit(caller, 1)
    held = stream.decide(start(flow, tags=[tag], retries=1)).run_id
    proposal = stand(stream, flow, tag)
    rejected = stream.decide(move(held, FAILED))
    assert rejected.HasField("reject")
    assert rejected.state.name == "AwaitingRetry"
    assert stream.decision(proposal.id).HasField("accept")
    retry = move(held, RUNNING)
    assert stream.decide(retry).wait.queued
    finish(stream, proposal.create_task_run.id)
    granted = stream.decision(retry.id)
    assert granted.HasField("accept")
    assert names(caller, held) == ["Running", "AwaitingRetry", "Retrying"]


def test_all_tags_are_taken_together_or_none(caller: Client, stream: Stream, flow: str) -> None:
    first, second = set_limit(caller, 1), set_limit(caller, 1)
    a, b = hold(stream, flow, first), hold(stream, flow, second)
    both = stand(stream, flow, first, second)
    finish(stream, a)
    assert held_by(caller, first) == []
    # Who needs only the free one is not held up.
    c = hold(stream, flow, first)
    finish(stream, b)
    assert held_by(caller, second) == []
    finish(stream, c)
    assert stream.decision(both.id).HasField("accept")
    for tag in (first, second):
        assert held_by(caller, tag) == [both.create_task_run.id]


def test_a_run_that_needs_several_tags_is_not_passed_over_without_bound(
    caller: Client, stream: Stream, flow: str
) -> None:
    free, full = set_limit(caller, 1), set_limit(caller, 1)
    blocker = hold(stream, flow, full)
    both = stand(stream, flow, free, full)
    for _ in range(16):
        finish(stream, hold(stream, flow, free))
    kept = stream.decide(start(flow, tags=[free]))
    assert kept.wait.queued
    assert held_by(caller, free) == []
    finish(stream, blocker)
    assert stream.decision(both.id).HasField("accept")
    finish(stream, both.create_task_run.id)
    assert stream.final(kept.proposal_id).HasField("accept")


def test_running_again_keeps_the_slots_and_waits_for_nobody(
    caller: Client, stream: Stream, flow: str
) -> None:
    tag = set_limit(caller, 1)
    held = hold(stream, flow, tag)
    proposal = stand(stream, flow, tag)
    again = stream.decide(move(held, RUNNING))
    assert again.HasField("accept")
    assert again.state.name == "Rerunning"
    assert held_by(caller, tag) == [held]
    finish(stream, held)
    assert stream.decision(proposal.id).HasField("accept")
    assert get_task(caller, held).run_count == 2


def test_a_run_of_another_live_session_is_not_run_twice(caller: Client, stream: Stream, flow: str) -> None:
    held = hold(stream, flow)
    other = caller.open(name="the second worker")
    decision = other.decide(move(held, RUNNING))
    assert decision.abort.reason == ABORT_REASON_HELD
    assert "tester" in decision.abort.message
    assert names(caller, held) == ["Running"]
    # Ending it is anyone's right.
    assert other.decide(move(held, CANCELLED)).HasField("accept")
    late = stream.decide(move(held, COMPLETED))
    assert late.abort.reason == ABORT_REASON_TERMINAL
    assert late.state.name == "Cancelled"
    other.say_goodbye()


def test_a_withdrawn_proposal_gets_no_slot(caller: Client, stream: Stream, flow: str) -> None:
    tag = set_limit(caller, 1)
    held = hold(stream, flow, tag)
    first, second = stand(stream, flow, tag), stand(stream, flow, tag)
    stream.withdraw(first.id, new_id())
    finish(stream, held)
    assert stream.decision(second.id).HasField("accept")
    assert len(stream.decisions(first.id)) == 1
    assert names(caller, first.create_task_run.id) == ["Pending"]
    assert get_limit(caller, tag).waiting_count == 0


def test_a_withdrawn_proposal_may_come_again_at_the_end_of_the_queue(
    caller: Client, stream: Stream, flow: str
) -> None:
    tag = set_limit(caller, 1)
    held = hold(stream, flow, tag)
    first, second = stand(stream, flow, tag), stand(stream, flow, tag)
    stream.withdraw(first.id)
    again = stream.decide(move(first.create_task_run.id, RUNNING, first.id))
    assert again.wait.queued
    finish(stream, held)
    assert stream.decision(second.id).HasField("accept")
    finish(stream, second.create_task_run.id)
    assert stream.decision(first.id).HasField("accept")


def test_a_proposal_and_its_withdrawal_in_quick_order_leave_nobody_in_the_queue(
    caller: Client, stream: Stream, flow: str
) -> None:
    tag = set_limit(caller, 1)
    held = hold(stream, flow, tag)
    for number in range(50):
        proposal = start(flow, tags=[tag])
        stream.propose(proposal)
        stream.withdraw(proposal.id)
        stream.ping(number + 1)
    finish(stream, held)
    assert get_limit(caller, tag).waiting_count == 0
    assert held_by(caller, tag) == []


def test_a_run_that_is_cancelled_while_it_waits_gets_no_slot(
    caller: Client, stream: Stream, flow: str
) -> None:
    tag = set_limit(caller, 1)
    held = hold(stream, flow, tag)
    first, second = stand(stream, flow, tag), stand(stream, flow, tag)
    assert stream.decide(move(first.create_task_run.id, CANCELLED)).HasField("accept")
    assert stream.decision(first.id).abort.reason == ABORT_REASON_TERMINAL
    finish(stream, held)
    assert stream.decision(second.id).HasField("accept")
    assert names(caller, first.create_task_run.id) == ["Pending", "Cancelled"]


def test_who_waits_is_answered_from_the_cache_when_the_slot_is_free(
    caller: Client, stream: Stream, flow: str
) -> None:
    tag, key = set_limit(caller, 1), new_id()
    leader = stream.decide(start(flow, with_key(RUNNING, key), tags=[tag])).run_id
    follower = start(flow, with_key(RUNNING, key), tags=[tag])
    assert stream.decide(follower).wait.queued
    third = stand(stream, flow, tag)
    stream.propose(move(leader, with_result(with_key(COMPLETED, key), b"42")))
    decision = stream.decision(follower.id)
    assert decision.HasField("reject")
    assert (decision.state.name, decision.state.data.inline) == ("Cached", b"42")
    assert stream.decision(third.id).HasField("accept")


def test_who_waits_and_refreshes_the_cache_runs_when_the_slot_is_free(
    caller: Client, stream: Stream, flow: str
) -> None:
    tag, key = set_limit(caller, 1), new_id()
    leader = stream.decide(start(flow, with_key(RUNNING, key), tags=[tag])).run_id
    refreshing = with_key(RUNNING, key)
    refreshing.details.refresh_cache = True
    waiter = start(flow, refreshing, tags=[tag])
    assert stream.decide(waiter).wait.queued
    stream.propose(move(leader, with_result(with_key(COMPLETED, key), b"42")))
    assert stream.decision(waiter.id).HasField("accept")


def test_goodbye_hands_all_slots_on_at_once(caller: Client, stream: Stream, flow: str) -> None:
    tag = set_limit(caller, 2)
    leaver = caller.open(name="leaver")
    runs = [hold(leaver, flow, tag) for _ in range(2)]
    gone = stand(leaver, flow, tag)
    waiting = [stand(stream, flow, tag) for _ in range(2)]
    leaver.say_goodbye()
    assert all(stream.decision(proposal.id).HasField("accept") for proposal in waiting)
    assert [get_task(caller, run_id).state.name for run_id in runs] == ["Crashed", "Crashed"]
    assert get_task(caller, gone.create_task_run.id).state.name == "Pending"


def test_a_tracking_run_takes_no_slot(caller: Client, stream: Stream, flow: str) -> None:
    tag = set_limit(caller, 1)
    tracking = create_task(caller, flow, tags=[tag], tracks_subflow=True)
    child = create_flow(caller, parent_task_run_id=tracking.id, tags=[tag])
    stream.decide(Proposal(id=new_id(), flow_run_id=child.id, state=RUNNING))
    assert get_task(caller, tracking.id).state.name == "Running"
    assert held_by(caller, tag) == []
    finish(stream, hold(stream, child.id, tag))


def test_hundreds_of_runs_of_three_clients_go_through_a_limit_of_four(
    caller: Client, flow: str, shared_server: Server
) -> None:
    tag = set_limit(caller, 4)
    streams = [caller.open() for _ in range(3)]

    def work(stream: Stream) -> None:
        proposals = [start(flow, tags=[tag]) for _ in range(100)]
        stream.propose(*proposals)
        for proposal in proposals:
            assert stream.final(proposal.id).HasField("accept")
            stream.propose(move(proposal.create_task_run.id, COMPLETED))
        assert stream.say_goodbye().code == StatusCode.OK

    with ThreadPoolExecutor() as pool:
        assert list(pool.map(work, streams)) == [None] * 3
    assert most_running(shared_server.database, tag) == 4
    assert held_by(caller, tag) == []
    assert slots_of_the_dead(shared_server.database) == []


def test_pending_asks_for_no_slot(caller: Client, stream: Stream, flow: str) -> None:
    tag = set_limit(caller, 1)
    held = hold(stream, flow, tag)
    assert stream.decide(start(flow, PENDING, tags=[tag])).HasField("accept")
    # Going back to Pending gives the slot back.
    waits = stand(stream, flow, tag)
    assert stream.decide(move(held, PENDING)).HasField("accept")
    assert stream.decision(waits.id).HasField("accept")
