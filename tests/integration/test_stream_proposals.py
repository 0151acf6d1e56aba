"""Proposals on a stream: compound, many, wrong, and repeated."""

from __future__ import annotations

from typing import Any

from clearway.v1.error_pb2 import ErrorReason
from clearway.v1.proposal_pb2 import Proposal
from clearway.v1.task_run_pb2 import TaskRunSpec
from support.client import Client
from support.database import contents
from support.limits import set_limit
from support.proposals import (
    COMPLETED,
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
    with_result,
)
from support.server import Server
from support.wrong.states import WRONG_STATES

UNKNOWN = "0198c5a1-7c1e-7d3a-9f52-3f1d2a6b8c4e"


def test_a_run_is_created_and_started_in_one_proposal(caller: Client) -> None:
    flow = create_flow(caller)
    stream = caller.open()
    proposal = start(flow.spec.id, task_key="extract", dynamic_key="0", tags=["b", "a", "b"])
    decision = stream.decide(proposal)
    assert decision.WhichOneof("answer") == "accept"
    assert decision.run_id == proposal.create_task_run.id
    assert (decision.state.id, decision.state.name) == (proposal.id, "Running")
    assert decision.state.details.flow_run_id == flow.spec.id
    assert decision.state.details.task_run_id == decision.run_id
    run = get_task(caller, decision.run_id)
    assert list(run.spec.tags) == ["a", "b"]
    assert run.spec.name == "extract-0"
    assert (run.run_count, run.start_time) == (1, decision.state.create_time)
    stream.say_goodbye()


def test_a_run_with_the_same_keys_is_meant_where_it_exists(caller: Client) -> None:
    flow = create_flow(caller)
    stream = caller.open()
    first = stream.decide(start(flow.spec.id, PENDING, task_key="extract", dynamic_key="0"))
    again = start(flow.spec.id, task_key="extract", dynamic_key="0")
    second = stream.decide(again)
    assert second.run_id == first.run_id != again.create_task_run.id
    assert names(caller, first.run_id) == ["Pending", "Running"]
    stream.say_goodbye()


def test_many_proposals_in_one_message_are_decided_in_order_and_answered_together(caller: Client) -> None:
    flow = create_flow(caller)
    stream = caller.open()
    specs = [task_spec(flow.spec.id) for _ in range(300)]
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


def _wrong_proposals(flow: str, task: str) -> list[tuple[str, Proposal, str, str]]:
    id_ = new_id
    good: Any = {"task_key": "t", "dynamic_key": "0"}
    return [
        ("ERROR_REASON_INVALID_ARGUMENT", Proposal(task_run_id=task, state=RUNNING), "id", "not set"),
        ("ERROR_REASON_INVALID_ARGUMENT", Proposal(id="42", task_run_id=task, state=RUNNING), "id", "'42'"),
        ("ERROR_REASON_INVALID_ARGUMENT", Proposal(id=id_(), task_run_id=task), "state", "not set"),
        ("ERROR_REASON_INVALID_ARGUMENT", Proposal(id=id_(), state=RUNNING), "run", "not set"),
        (
            "ERROR_REASON_INVALID_ARGUMENT",
            Proposal(id=id_(), task_run_id="42", state=RUNNING),
            "task_run_id",
            "'42'",
        ),
        (
            "ERROR_REASON_INVALID_ARGUMENT",
            Proposal(id=id_(), task_run_id="", state=RUNNING),
            "task_run_id",
            "not set",
        ),
        (
            "ERROR_REASON_INVALID_ARGUMENT",
            Proposal(id=id_(), flow_run_id="42", state=RUNNING),
            "flow_run_id",
            "'42'",
        ),
        *[
            ("ERROR_REASON_INVALID_ARGUMENT", move(task, state), f"state.{field}", said)
            for state, field, said in WRONG_STATES
        ],
        (
            "ERROR_REASON_INVALID_ARGUMENT",
            Proposal(
                id=id_(), task_run_id=task, create_task_run=TaskRunSpec(flow_run_id=flow), state=RUNNING
            ),
            "create_task_run",
            "task_run_id",
        ),
        (
            "ERROR_REASON_INVALID_ARGUMENT",
            Proposal(id=id_(), create_task_run=TaskRunSpec(flow_run_id=flow), state=RUNNING),
            "create_task_run.task_key",
            "not set",
        ),
        (
            "ERROR_REASON_INVALID_ARGUMENT",
            Proposal(
                id=id_(), create_task_run=TaskRunSpec(flow_run_id=flow, tags=[""], **good), state=RUNNING
            ),
            "create_task_run.tags[0]",
            "not set",
        ),
        (
            "ERROR_REASON_RUN_NOT_FOUND",
            Proposal(id=id_(), create_task_run=TaskRunSpec(flow_run_id=UNKNOWN, **good), state=RUNNING),
            "create_task_run.flow_run_id",
            UNKNOWN,
        ),
        (
            "ERROR_REASON_RUN_CONFLICT",
            Proposal(id=id_(), create_task_run=TaskRunSpec(id=task, flow_run_id=flow, **good), state=RUNNING),
            "create_task_run.id",
            task,
        ),
        (
            "ERROR_REASON_RUN_CONFLICT",
            Proposal(id=id_(), create_task_run=TaskRunSpec(id=flow, flow_run_id=flow, **good), state=RUNNING),
            "create_task_run.id",
            flow,
        ),
        ("ERROR_REASON_RUN_NOT_FOUND", move(UNKNOWN, RUNNING), "run", UNKNOWN),
        ("ERROR_REASON_RUN_NOT_FOUND", move_flow(UNKNOWN, RUNNING), "run", UNKNOWN),
        ("ERROR_REASON_RUN_NOT_FOUND", move(flow, RUNNING), "run", flow),
        ("ERROR_REASON_RUN_NOT_FOUND", move_flow(task, RUNNING), "run", task),
    ]


def test_a_wrong_proposal_is_answered_with_an_error_and_changes_nothing(
    caller: Client, shared_server: Server
) -> None:
    flow = create_flow(caller).spec.id
    task = create_task(caller, flow).spec.id
    stream = caller.open()
    before = contents(shared_server.database)
    for reason, proposal, field, said in _wrong_proposals(flow, task):
        error = stream.decide(proposal).error
        assert ErrorReason.Name(error.reason) == reason
        assert error.field == field
        assert said in error.message
    assert contents(shared_server.database) == before
    assert stream.decide(move(task, RUNNING)).HasField("accept")
    stream.say_goodbye()


def test_a_wrong_proposal_does_not_touch_its_neighbours(caller: Client) -> None:
    flow = create_flow(caller).spec.id
    stream = caller.open()
    before, wrong, after = start(flow), Proposal(id=new_id(), task_run_id=UNKNOWN, state=RUNNING), start(flow)
    stream.propose(before, wrong, after)
    assert stream.decision(before.id).HasField("accept")
    assert stream.decision(wrong.id).HasField("error")
    assert stream.decision(after.id).HasField("accept")
    stream.say_goodbye()


def test_the_same_proposal_twice_on_one_stream_is_one_transition(caller: Client) -> None:
    flow = create_flow(caller).spec.id
    stream = caller.open()
    proposal = start(flow)
    stream.propose(proposal, proposal)
    stream.propose(proposal)
    first, second, third = (stream.decision(proposal.id) for _ in range(3))
    assert first == second == third
    assert names(caller, proposal.create_task_run.id) == ["Running"]
    stream.say_goodbye()


def test_a_decision_spells_the_proposals_id_as_the_client_did(caller: Client) -> None:
    flow, tag = create_flow(caller).spec.id, set_limit(caller, 1)
    stream = caller.open()
    held, waits = start(flow, tags=[tag]), start(flow, tags=[tag])
    held.id, waits.id = held.id.upper(), waits.id.upper()
    assert stream.decide(held).HasField("accept")
    assert stream.decide(waits).wait.queued
    stream.decide(move(held.create_task_run.id, COMPLETED))
    assert stream.decision(waits.id).HasField("accept")
    stream.say_goodbye()


def test_large_decisions_come_in_messages_that_any_client_takes(caller: Client) -> None:
    flow = create_flow(caller).spec.id
    stream = caller.open()
    large = with_result(COMPLETED, b"x" * 65_536)
    proposals = [start(flow, large) for _ in range(150)]
    stream.propose(*proposals)
    for proposal in proposals:
        assert len(stream.decision(proposal.id).state.data.inline) == 65_536
    assert max(message.ByteSize() for message in stream.messages) < 4 * 1024 * 1024
    stream.say_goodbye()
