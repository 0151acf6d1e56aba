"""How a stream ends, on purpose or not, and how it is taken up again."""

from __future__ import annotations

import pytest
from grpc import RpcError, StatusCode

from clearway.v1.proposal_pb2 import Hello, ProposeRequest, SetTaskRunStateRequest
from clearway.v1.state_pb2 import STATE_TYPE_PENDING, State
from support.client import Client, Stream, failure_of
from support.database import locked
from support.limits import get_limit, set_limit
from support.proposals import (
    COMPLETED,
    CRASHED,
    FAILED,
    RUNNING,
    create_flow,
    get_task,
    move,
    move_flow,
    names,
    new_id,
    start,
)
from support.server import Server
from support.waiting import wait_until

UNKNOWN = "0198c5a1-7c1e-7d3a-9f52-3f1d2a6b8c4e"


def test_closing_its_side_a_client_gets_what_is_still_owed(caller: Client) -> None:
    flow = create_flow(caller).spec.id
    stream = caller.open()
    proposals = [start(flow) for _ in range(200)]
    stream.propose(*proposals)
    stream.close_sending()
    assert stream.end().code == StatusCode.OK
    assert {decision.proposal_id for decision in stream.answered()} == {each.id for each in proposals}


def test_closing_its_side_a_client_withdraws_what_waits(caller: Client) -> None:
    tag, flow = set_limit(caller, 1), create_flow(caller).spec.id
    holder, stream = caller.open(), caller.open()
    held = start(flow, tags=[tag])
    holder.decide(held)
    waits = start(flow, tags=[tag])
    assert stream.decide(waits).wait.queued
    stream.close_sending()
    assert stream.end().code == StatusCode.OK
    assert get_limit(caller, tag).waiting_count == 0
    holder.decide(move(held.create_task_run.id, COMPLETED))
    assert names(caller, waits.create_task_run.id) == ["Pending"]
    holder.say_goodbye()


def test_goodbye_ends_the_session_and_its_running_runs_at_once(caller: Client) -> None:
    flow = create_flow(caller).spec.id
    stream = caller.open(name="leaver")
    running, done = start(flow), start(flow)
    stream.propose(running, done, move(done.create_task_run.id, COMPLETED), move_flow(flow, RUNNING))
    session_id = stream.session_id
    assert stream.say_goodbye().code == StatusCode.OK
    states = get_task(caller, running.create_task_run.id).state
    assert (states.type, states.message) == (CRASHED.type, "its client ended the session")
    assert names(caller, done.create_task_run.id) == ["Running", "Completed"]
    late = Stream(caller.stub)
    late.send(ProposeRequest(hello=Hello(resume_session_id=session_id)))
    assert late.end().reason == "ERROR_REASON_SESSION_EXPIRED"


def test_what_comes_with_a_goodbye_is_decided_first(caller: Client) -> None:
    flow = create_flow(caller).spec.id
    stream = caller.open()
    proposal = start(flow)
    stream.decide(proposal)
    last = move(proposal.create_task_run.id, COMPLETED)
    stream.send(ProposeRequest(proposals=[last], goodbye=True))
    assert stream.end().code == StatusCode.OK
    assert stream.decision(last.id).HasField("accept")
    assert names(caller, proposal.create_task_run.id) == ["Running", "Completed"]


def test_a_waiting_proposal_that_comes_again_does_not_keep_the_stream_from_ending(caller: Client) -> None:
    tag, flow = set_limit(caller, 1), create_flow(caller).spec.id
    stream = caller.open()
    stream.decide(start(flow, tags=[tag]))
    waits = start(flow, tags=[tag])
    stream.propose(waits)
    assert stream.decision(waits.id).wait.queued
    stream.propose(waits, waits)
    assert stream.decision(waits.id).wait.queued
    assert stream.decision(waits.id).wait.queued
    assert get_limit(caller, tag).waiting_count == 1
    assert stream.say_goodbye().code == StatusCode.OK


def test_a_grant_that_crosses_a_withdrawal_is_told_and_the_stream_ends(
    caller: Client, shared_server: Server
) -> None:
    tag, flow = set_limit(caller, 1), create_flow(caller).spec.id
    stream = caller.open()
    holder, waits = start(flow, tags=[tag]), start(flow, tags=[tag])
    assert stream.decide(holder).HasField("accept")
    assert stream.decide(waits).wait.queued
    done = move(holder.create_task_run.id, COMPLETED)
    with locked(shared_server.database):
        stream.propose(done)
        stream.ping(1)
        stream.withdraw(waits.id)
        stream.ping(2)
    assert stream.decision(done.id).HasField("accept")
    stream.close_sending()
    assert stream.end().code == StatusCode.OK
    told = [decision for decision in stream.decisions(waits.id) if decision.HasField("accept")]
    assert names(caller, waits.create_task_run.id) == ["Pending", "Running"][: 1 + len(told)]


def test_a_message_over_the_size_limit_is_refused_and_the_server_lives_on(caller: Client) -> None:
    flow = create_flow(caller).spec.id
    stream = caller.open()
    big = State(type=STATE_TYPE_PENDING, message="m" * (17 * 1024 * 1024))
    stream.propose(move(new_id(), big))
    assert stream.end().code == StatusCode.RESOURCE_EXHAUSTED
    with pytest.raises(RpcError) as raised:
        caller.stub.SetTaskRunState(SetTaskRunStateRequest(task_run_id=new_id(), state=big))
    assert failure_of(raised.value).code == StatusCode.RESOURCE_EXHAUSTED
    again = caller.open()
    assert again.decide(start(flow, FAILED)).HasField("accept")
    again.say_goodbye()


def test_a_broken_stream_is_resumed_with_its_runs(caller: Client, shared_server: Server) -> None:
    flow = create_flow(caller).spec.id
    tag = set_limit(caller, 1)
    with Client(shared_server.address) as other:
        first = other.open()
        held, waits = start(flow, tags=[tag]), start(flow, tags=[tag])
        first.propose(held, waits)
        assert first.decision(held.id).HasField("accept")
        assert first.decision(waits.id).wait.queued
        session_id = first.session_id
    assert first.end().code != StatusCode.OK
    second = caller.open(resume=session_id)
    assert second.session_id == session_id
    assert get_task(caller, held.create_task_run.id).state.name == "Running"
    second.propose(waits)
    assert second.decision(waits.id).wait.queued
    assert second.decide(move(held.create_task_run.id, COMPLETED)).HasField("accept")
    assert second.final(waits.id).HasField("accept")
    assert names(caller, waits.create_task_run.id) == ["Pending", "Running"]
    second.say_goodbye()
    wait_until(lambda: get_task(caller, waits.create_task_run.id).state.type == CRASHED.type, "the end")


def test_a_grant_that_was_lost_with_the_stream_is_told_after_the_resume(
    caller: Client, shared_server: Server
) -> None:
    flow, tag = create_flow(caller).spec.id, set_limit(caller, 1)
    holder = caller.open()
    held = start(flow, tags=[tag])
    holder.decide(held)
    with Client(shared_server.address) as other:
        first = other.open()
        waits = start(flow, tags=[tag])
        assert first.decide(waits).wait.queued
        session_id = first.session_id
    holder.decide(move(held.create_task_run.id, COMPLETED))
    second = caller.open(resume=session_id)
    assert second.decide(waits).HasField("accept")
    assert names(caller, waits.create_task_run.id) == ["Pending", "Running"]
    second.say_goodbye()
    holder.say_goodbye()


def test_who_comes_back_to_a_broken_stream_has_kept_its_place(caller: Client, shared_server: Server) -> None:
    flow, tag = create_flow(caller).spec.id, set_limit(caller, 1)
    holder = caller.open()
    held, later = start(flow, tags=[tag]), start(flow, tags=[tag])
    holder.decide(held)
    with Client(shared_server.address) as other:
        first = other.open()
        waits = start(flow, tags=[tag])
        assert first.decide(waits).wait.position == 1
    assert holder.decide(later).wait.queued
    second = caller.open(resume=first.session_id)
    assert second.decide(waits).wait.queued
    assert [waiter.proposal_id for waiter in get_limit(caller, tag).waiters] == [waits.id, later.id]
    second.say_goodbye()
    holder.say_goodbye()


def test_a_broken_stream_alone_takes_nobody_out_of_the_queue(caller: Client, shared_server: Server) -> None:
    flow, tag = create_flow(caller).spec.id, set_limit(caller, 1)
    holder = caller.open()
    holder.decide(start(flow, tags=[tag]))
    for _ in range(10):
        with Client(shared_server.address) as other:
            assert other.open().decide(start(flow, tags=[tag])).wait.queued
    holder.ping(1)
    assert get_limit(caller, tag).waiting_count == 10
    holder.say_goodbye()
