"""The stream's conversation: how it opens, what goes through it, how it ends, and what breaks it."""

from __future__ import annotations

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import RpcError, StatusCode

from clearway.v1.error_pb2 import ErrorReason
from clearway.v1.proposal_pb2 import Await, Hello, Proposal, ProposeRequest, SetTaskRunStateRequest
from clearway.v1.server_info_pb2 import GetServerInfoRequest
from clearway.v1.state_pb2 import STATE_TYPE_PENDING, STATE_TYPE_SCHEDULED, Data, State, StateDetails
from clearway.v1.task_run_pb2 import TaskRunSpec
from support.client import Client, Stream, failure_of
from support.database import contents, locked
from support.limits import get_limit, set_limit
from support.proposals import (
    COMPLETED,
    CRASHED,
    FAILED,
    PENDING,
    RUNNING,
    create_flow,
    create_task,
    get_task,
    move,
    move_flow,
    names,
    new_id,
    start,
    task_spec,
)
from support.server import Server
from support.waiting import wait_until

UNKNOWN = "0198c5a1-7c1e-7d3a-9f52-3f1d2a6b8c4e"


def test_a_hello_is_answered_with_a_welcome(caller: Client) -> None:
    stream = caller.open()
    info = caller.stub.GetServerInfo(GetServerInfoRequest())
    welcome = stream.welcome
    assert len(welcome.session_id) == 36
    assert welcome.lease.seconds == 30
    assert (welcome.server_version, welcome.lease) == (info.version, info.lease)
    assert (welcome.max_message_bytes, welcome.max_proposals) == (info.max_message_bytes, info.max_proposals)
    assert stream.say_goodbye().code == StatusCode.OK


def test_each_stream_has_a_session_of_its_own(caller: Client) -> None:
    first, second = caller.open(), caller.open()
    assert first.session_id != second.session_id


@pytest.mark.parametrize(
    "first",
    [
        ProposeRequest(),
        ProposeRequest(ping=1),
        ProposeRequest(goodbye=True),
        ProposeRequest(proposals=[Proposal(id=UNKNOWN, task_run_id=UNKNOWN, state=RUNNING)]),
    ],
    ids=["nothing", "ping", "goodbye", "proposals"],
)
def test_a_stream_that_does_not_begin_with_a_hello_is_ended(first: ProposeRequest, caller: Client) -> None:
    stream = Stream(caller.stub)
    stream.send(first)
    end = stream.end()
    assert (end.code, end.reason) == (StatusCode.FAILED_PRECONDITION, "PROTOCOL")
    assert end.fields == ("hello",)
    assert stream.messages == []


def test_a_second_hello_ends_the_stream_and_what_was_proposed_is_still_answered(caller: Client) -> None:
    flow = create_flow(caller)
    stream = caller.open()
    proposal = start(flow.id)
    stream.propose(proposal)
    stream.send(ProposeRequest(hello=Hello()))
    end = stream.end()
    assert (end.code, end.reason, end.fields) == (StatusCode.FAILED_PRECONDITION, "PROTOCOL", ("hello",))
    assert names(caller, proposal.create_task_run.id) == ["Running"]


@pytest.mark.parametrize(
    ("hello", "field", "said"),
    [
        (Hello(client_name="n" * 256), "hello.client_name", "256"),
        (Hello(language="l" * 65), "hello.language", "65"),
        (Hello(version="v" * 65), "hello.version", "65"),
        (Hello(resume_session_id="42"), "hello.resume_session_id", "'42'"),
    ],
    ids=["name", "language", "version", "session"],
)
def test_a_wrong_hello_is_answered_with_details(
    hello: Hello, field: str, said: str, caller: Client, shared_server: Server
) -> None:
    before = contents(shared_server.database)
    stream = Stream(caller.stub)
    stream.send(ProposeRequest(hello=hello))
    end = stream.end()
    assert (end.code, end.reason, end.fields) == (StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", (field,))
    assert said in end.message
    assert contents(shared_server.database) == before


def test_a_session_that_never_was_cannot_be_resumed(caller: Client) -> None:
    stream = Stream(caller.stub)
    stream.send(ProposeRequest(hello=Hello(resume_session_id=UNKNOWN)))
    end = stream.end()
    assert (end.code, end.reason) == (StatusCode.FAILED_PRECONDITION, "SESSION_EXPIRED")
    assert end.fields == ("hello.resume_session_id",)
    assert UNKNOWN in end.message


def test_a_stream_that_says_nothing_at_all_ends(caller: Client) -> None:
    stream = Stream(caller.stub)
    stream.close_sending()
    assert stream.end().code == StatusCode.OK


def test_a_run_is_created_and_started_in_one_proposal(caller: Client) -> None:
    flow = create_flow(caller)
    stream = caller.open()
    proposal = start(flow.id, task_key="extract", dynamic_key="0", tags=["b", "a", "b"])
    decision = stream.decide(proposal)
    assert decision.WhichOneof("answer") == "accept"
    assert decision.run_id == proposal.create_task_run.id
    assert (decision.state.id, decision.state.name) == (proposal.id, "Running")
    assert decision.state.details.flow_run_id == flow.id
    assert decision.state.details.task_run_id == decision.run_id
    run = get_task(caller, decision.run_id)
    assert list(run.tags) == ["a", "b"]
    assert run.name == "extract-0"
    assert (run.run_count, run.start_time) == (1, decision.state.timestamp)
    stream.say_goodbye()


def test_a_run_with_the_same_keys_is_meant_where_it_exists(caller: Client) -> None:
    flow = create_flow(caller)
    stream = caller.open()
    first = stream.decide(start(flow.id, PENDING, task_key="extract", dynamic_key="0"))
    again = start(flow.id, task_key="extract", dynamic_key="0")
    second = stream.decide(again)
    assert second.run_id == first.run_id != again.create_task_run.id
    assert names(caller, first.run_id) == ["Pending", "Running"]
    stream.say_goodbye()


def test_many_proposals_in_one_message_are_decided_in_order_and_answered_together(caller: Client) -> None:
    flow = create_flow(caller)
    stream = caller.open()
    specs = [task_spec(flow.id) for _ in range(300)]
    proposals = []
    for spec in specs:
        proposals.append(Proposal(id=new_id(), create_task_run=spec, state=RUNNING))
        proposals.append(move(spec.id, COMPLETED))
    stream.propose(*proposals)
    assert all(stream.decision(proposal.id).HasField("accept") for proposal in proposals)
    assert names(caller, specs[0].id) == names(caller, specs[299].id) == ["Running", "Completed"]
    messages = [message for message in stream.messages if message.decisions]
    assert len(messages) < 100
    assert all(len(message.decisions) <= 256 for message in messages)
    stream.say_goodbye()


def test_more_proposals_than_a_message_may_have_end_the_stream(caller: Client, shared_server: Server) -> None:
    stream = caller.open()
    before = contents(shared_server.database)
    stream.propose(*[Proposal(id=UNKNOWN)] * 4097)
    end = stream.end()
    assert (end.code, end.fields) == (StatusCode.INVALID_ARGUMENT, ("proposals",))
    assert "4097" in end.message
    assert contents(shared_server.database) == before


def test_a_withdrawal_that_is_no_id_ends_the_stream(caller: Client) -> None:
    stream = caller.open()
    stream.withdraw("42")
    end = stream.end()
    assert (end.code, end.fields) == (StatusCode.INVALID_ARGUMENT, ("withdrawals",))
    assert "'42'" in end.message


@pytest.mark.parametrize(
    ("wrong", "said"),
    [(Await(), "not set"), (Await(task_run_id="42"), "'42'"), (Await(awaited_task_run_id="42"), "not set")],
    ids=["nothing", "no id", "no holder"],
)
def test_awaits_that_name_no_run_end_the_stream(
    wrong: Await, said: str, caller: Client, shared_server: Server
) -> None:
    stream = caller.open()
    before = contents(shared_server.database)
    stream.send(ProposeRequest(awaits=[wrong]))
    end = stream.end()
    assert (end.code, end.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")
    assert end.fields[0].startswith("awaits")
    assert said in end.message
    assert contents(shared_server.database) == before


def test_awaits_of_runs_that_do_not_exist_are_ignored(caller: Client) -> None:
    stream = caller.open()
    stream.send(ProposeRequest(awaits=[Await(task_run_id=UNKNOWN, awaited_task_run_id=UNKNOWN)]))
    stream.ping(1)
    assert stream.say_goodbye().code == StatusCode.OK


def _wrong_proposals(flow: str, task: str) -> list[tuple[str, Proposal, str, str]]:
    id_ = new_id
    good = {"task_key": "t", "dynamic_key": "0"}
    return [
        ("INVALID_ARGUMENT", Proposal(task_run_id=task, state=RUNNING), "id", "not set"),
        ("INVALID_ARGUMENT", Proposal(id="42", task_run_id=task, state=RUNNING), "id", "'42'"),
        ("INVALID_ARGUMENT", Proposal(id=id_(), task_run_id=task), "state", "not set"),
        ("INVALID_ARGUMENT", Proposal(id=id_(), state=RUNNING), "run", "not set"),
        ("INVALID_ARGUMENT", Proposal(id=id_(), task_run_id="42", state=RUNNING), "task_run_id", "'42'"),
        ("INVALID_ARGUMENT", Proposal(id=id_(), task_run_id="", state=RUNNING), "task_run_id", "not set"),
        ("INVALID_ARGUMENT", Proposal(id=id_(), flow_run_id="42", state=RUNNING), "flow_run_id", "'42'"),
        ("INVALID_ARGUMENT", move(task, State(type=99)), "state.type", "99"),
        ("INVALID_ARGUMENT", move(task, State()), "state.type", "not set"),
        (
            "INVALID_ARGUMENT",
            move(task, State(type=STATE_TYPE_SCHEDULED)),
            "state.details.scheduled_time",
            "not set",
        ),
        (
            "INVALID_ARGUMENT",
            move(
                task,
                State(type=STATE_TYPE_PENDING, details=StateDetails(scheduled_time=Timestamp(seconds=1))),
            ),
            "state.details.scheduled_time",
            "PENDING",
        ),
        (
            "INVALID_ARGUMENT",
            move(task, State(type=STATE_TYPE_PENDING, data=Data(encoding="json", inline=b"x" * 65_537))),
            "state.data.inline",
            "65537",
        ),
        (
            "INVALID_ARGUMENT",
            Proposal(
                id=id_(), task_run_id=task, create_task_run=TaskRunSpec(flow_run_id=flow), state=RUNNING
            ),
            "create_task_run",
            "task_run_id",
        ),
        (
            "INVALID_ARGUMENT",
            Proposal(id=id_(), create_task_run=TaskRunSpec(flow_run_id=flow), state=RUNNING),
            "create_task_run.task_key",
            "not set",
        ),
        (
            "INVALID_ARGUMENT",
            Proposal(
                id=id_(), create_task_run=TaskRunSpec(flow_run_id=flow, tags=[""], **good), state=RUNNING
            ),
            "create_task_run.tags",
            "not set",
        ),
        (
            "RUN_NOT_FOUND",
            Proposal(id=id_(), create_task_run=TaskRunSpec(flow_run_id=UNKNOWN, **good), state=RUNNING),
            "create_task_run.flow_run_id",
            UNKNOWN,
        ),
        (
            "RUN_CONFLICT",
            Proposal(id=id_(), create_task_run=TaskRunSpec(id=task, flow_run_id=flow, **good), state=RUNNING),
            "create_task_run.id",
            task,
        ),
        ("RUN_NOT_FOUND", move(UNKNOWN, RUNNING), "run", UNKNOWN),
        ("RUN_NOT_FOUND", move_flow(UNKNOWN, RUNNING), "run", UNKNOWN),
        ("RUN_NOT_FOUND", move(flow, RUNNING), "run", flow),
        ("RUN_NOT_FOUND", move_flow(task, RUNNING), "run", task),
    ]


def test_a_wrong_proposal_is_answered_with_an_error_and_changes_nothing(
    caller: Client, shared_server: Server
) -> None:
    flow = create_flow(caller).id
    task = create_task(caller, flow).id
    stream = caller.open()
    before = contents(shared_server.database)
    for reason, proposal, field, said in _wrong_proposals(flow, task):
        error = stream.decide(proposal).error
        assert ErrorReason.Name(error.reason) == f"ERROR_REASON_{reason}"
        assert error.field == field
        assert said in error.message
    assert contents(shared_server.database) == before
    assert stream.decide(move(task, RUNNING)).HasField("accept")
    stream.say_goodbye()


def test_a_wrong_proposal_does_not_touch_its_neighbours(caller: Client) -> None:
    flow = create_flow(caller).id
    stream = caller.open()
    before, wrong, after = start(flow), Proposal(id=new_id(), task_run_id=UNKNOWN, state=RUNNING), start(flow)
    stream.propose(before, wrong, after)
    assert stream.decision(before.id).HasField("accept")
    assert stream.decision(wrong.id).HasField("error")
    assert stream.decision(after.id).HasField("accept")
    stream.say_goodbye()


def test_a_ping_is_answered_with_its_number(caller: Client) -> None:
    stream = caller.open()
    for number in (7, 1, -5, 2**62):
        stream.ping(number)
    assert [message.pong for message in stream.messages if message.pong] == [7, 1, -5, 2**62]
    stream.say_goodbye()


def test_closing_its_side_a_client_gets_what_is_still_owed(caller: Client) -> None:
    flow = create_flow(caller).id
    stream = caller.open()
    proposals = [start(flow) for _ in range(200)]
    stream.propose(*proposals)
    stream.close_sending()
    assert stream.end().code == StatusCode.OK
    assert {decision.proposal_id for decision in stream.answered()} == {each.id for each in proposals}


def test_closing_its_side_a_client_withdraws_what_waits(caller: Client) -> None:
    tag, flow = set_limit(caller, 1), create_flow(caller).id
    holder, stream = caller.open(), caller.open()
    held = start(flow, tags=[tag])
    holder.decide(held)
    waits = start(flow, tags=[tag])
    assert stream.decide(waits).wait.queued
    stream.close_sending()
    assert stream.end().code == StatusCode.OK
    assert get_limit(caller, tag).waiting == 0
    holder.decide(move(held.create_task_run.id, COMPLETED))
    assert names(caller, waits.create_task_run.id) == ["Pending"]
    holder.say_goodbye()


def test_goodbye_ends_the_session_and_its_running_runs_at_once(caller: Client) -> None:
    flow = create_flow(caller).id
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
    assert late.end().reason == "SESSION_EXPIRED"


def test_what_comes_with_a_goodbye_is_decided_first(caller: Client) -> None:
    flow = create_flow(caller).id
    stream = caller.open()
    proposal = start(flow)
    stream.decide(proposal)
    last = move(proposal.create_task_run.id, COMPLETED)
    stream.send(ProposeRequest(proposals=[last], goodbye=True))
    assert stream.end().code == StatusCode.OK
    assert stream.decision(last.id).HasField("accept")
    assert names(caller, proposal.create_task_run.id) == ["Running", "Completed"]


def test_the_same_proposal_twice_on_one_stream_is_one_transition(caller: Client) -> None:
    flow = create_flow(caller).id
    stream = caller.open()
    proposal = start(flow)
    stream.propose(proposal, proposal)
    stream.propose(proposal)
    first, second, third = (stream.decision(proposal.id) for _ in range(3))
    assert first == second == third
    assert names(caller, proposal.create_task_run.id) == ["Running"]
    stream.say_goodbye()


def test_a_waiting_proposal_that_comes_again_does_not_keep_the_stream_from_ending(caller: Client) -> None:
    tag, flow = set_limit(caller, 1), create_flow(caller).id
    stream = caller.open()
    stream.decide(start(flow, tags=[tag]))
    waits = start(flow, tags=[tag])
    stream.propose(waits)
    assert stream.decision(waits.id).wait.queued
    stream.propose(waits, waits)
    assert stream.decision(waits.id).wait.queued
    assert stream.decision(waits.id).wait.queued
    assert get_limit(caller, tag).waiting == 1
    assert stream.say_goodbye().code == StatusCode.OK


def test_a_grant_that_crosses_a_withdrawal_is_told_and_the_stream_ends(
    caller: Client, shared_server: Server
) -> None:
    tag, flow = set_limit(caller, 1), create_flow(caller).id
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
    flow = create_flow(caller).id
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
    flow = create_flow(caller).id
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
    flow, tag = create_flow(caller).id, set_limit(caller, 1)
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
