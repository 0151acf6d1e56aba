"""Clients older and newer than the service: what they may leave out, and what of theirs is not known here."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from grpc import StatusCode

from clearway.v1.flow_run_pb2 import CreateFlowRunRequest, CreateFlowRunResponse, FlowRunSpec
from clearway.v1.proposal_pb2 import (
    Decision,
    Hello,
    Proposal,
    ProposeRequest,
    ProposeResponse,
    SetTaskRunStateRequest,
    SetTaskRunStateResponse,
)
from clearway.v1.server_info_pb2 import Feature, GetServerInfoRequest, GetServerInfoResponse
from clearway.v1.state_pb2 import STATE_TYPE_RUNNING, Data, ProposedState
from clearway.v1.task_run_pb2 import CreateTaskRunRequest, CreateTaskRunResponse, TaskRunSpec
from support.client import Client, failure_of
from support.proposals import RUNNING, create_flow, create_task, get_task, names, new_id
from support.waiting import DEADLINE_SECONDS

NEWER = b"\xb2\x92\x03\x05newer"
"""Field 6,438, which nobody has: five bytes."""
NEWER_NUMBER = b"\xb8\x92\x03\x2a"
"""Field 6,439: the number 42."""
FEATURES = {"EXPLANATIONS", "RESULT_STORAGE", "SINGLE_FLIGHT", "CACHE_MANAGEMENT"}


def newer(message: Message) -> bytes:
    """Return a message as a newer client would send it: with unknown fields at each level."""
    return _with_unknown(message).SerializeToString()


def _with_unknown(message: Message) -> Message:
    grown = type(message).FromString(message.SerializeToString() + NEWER + NEWER_NUMBER)
    for field, value in grown.ListFields():
        if field.message_type is None or field.message_type.full_name.startswith("google."):
            continue
        for each in value if isinstance(value, list) or hasattr(value, "add") else [value]:
            each.CopyFrom(_with_unknown(each))
    return grown


def call(client: Client, method: str, request: bytes, response: type[Message]) -> Any:
    """Make a unary call with these very bytes."""
    path = f"/clearway.v1.Orchestrator/{method}"
    raw: Callable[..., Any] = client.channel.unary_unary(path, response_deserializer=response.FromString)
    return raw(request, timeout=DEADLINE_SECONDS)


def refused(
    client: Client, method: str, request: Message | bytes
) -> tuple[StatusCode, str, tuple[str, ...], str]:
    """Return status, reason, fields and message with which a call fails."""
    sent = request if isinstance(request, bytes) else request.SerializeToString()
    with pytest.raises(grpc.RpcError) as raised:
        call(client, method, sent, GetServerInfoResponse)
    failure = failure_of(raised.value)
    return failure.code, failure.reason, failure.fields, failure.message


def test_the_service_tells_what_a_client_needs_to_know_of_it(caller: Client) -> None:
    info = caller.stub.GetServerInfo(GetServerInfoRequest())
    assert info.version
    assert {Feature.Name(feature).removeprefix("FEATURE_") for feature in info.features} == FEATURES
    assert info.max_message_bytes == 16 * 1024 * 1024
    assert info.max_proposals == 4_096
    assert info.lease.ToTimedelta() == timedelta(seconds=30)
    assert info.broken_stream_grace.ToTimedelta() == timedelta(seconds=10)
    assert info.slot_retry_after.ToTimedelta() == timedelta(seconds=30)
    assert info.max_slot_wait.ToTimedelta() == timedelta(hours=1)


def test_the_longest_wait_that_is_told_is_the_longest_that_is_taken(caller: Client) -> None:
    run = create_task(caller, create_flow(caller).spec.id)
    longest = caller.stub.GetServerInfo(GetServerInfoRequest()).max_slot_wait
    request = SetTaskRunStateRequest(task_run_id=run.spec.id, state=RUNNING, wait_timeout=longest)
    assert caller.stub.SetTaskRunState(request).decision.HasField("accept")
    request.wait_timeout.nanos = 1_000
    assert caller.fails("SetTaskRunState", request).fields == ("wait_timeout",)


def test_fields_of_a_newer_client_are_ignored(caller: Client) -> None:
    flow = CreateFlowRunRequest(flow_run=FlowRunSpec(id=new_id(), flow_name="newer", tags=["a"]))
    made = call(caller, "CreateFlowRun", newer(flow), CreateFlowRunResponse)
    assert (made.flow_run.spec.id, made.flow_run.spec.tags) == (flow.flow_run.id, ["a"])
    spec = TaskRunSpec(id=new_id(), flow_run_id=flow.flow_run.id, task_key="t", dynamic_key="0")
    task = call(caller, "CreateTaskRun", newer(CreateTaskRunRequest(task_run=spec)), CreateTaskRunResponse)
    assert task.created
    state = ProposedState(
        type=STATE_TYPE_RUNNING,
        cache_key=new_id(),
        data=Data(encoding="json", inline=b"1", size_bytes=1),
    )
    moved = SetTaskRunStateRequest(task_run_id=spec.id, state=state)
    answer = call(caller, "SetTaskRunState", newer(moved), SetTaskRunStateResponse)
    assert answer.decision.HasField("accept")
    assert names(caller, spec.id) == ["Pending", "Running"]
    assert get_task(caller, spec.id).state.data.inline == b"1"


def test_fields_of_a_newer_client_on_the_stream_are_ignored(caller: Client) -> None:
    flow = create_flow(caller)
    spec = TaskRunSpec(id=new_id(), flow_run_id=flow.spec.id, task_key="t", dynamic_key="0")
    proposal = Proposal(id=new_id(), create_task_run=spec, state=RUNNING)
    messages = [
        newer(ProposeRequest(hello=Hello(client_name="newer"))),
        NEWER,
        newer(ProposeRequest(proposals=[proposal], ping=7)),
        newer(ProposeRequest(goodbye=True)),
    ]
    converse: Callable[..., Any] = caller.channel.stream_stream(
        "/clearway.v1.Orchestrator/Propose", response_deserializer=ProposeResponse.FromString
    )
    answers = list(converse(iter(messages), timeout=DEADLINE_SECONDS))
    assert answers[0].welcome.session_id
    (decision,) = [decision for answer in answers for decision in answer.decisions]
    assert (decision.proposal_id, decision.WhichOneof("answer")) == (proposal.id, "accept")
    assert 7 in [answer.pong for answer in answers]
    assert names(caller, spec.id) == ["Running", "Crashed"]


def test_a_kind_of_run_that_only_newer_clients_know_is_named_as_missing(caller: Client) -> None:
    # As if `Proposal.run` had a third member.
    proposal = Proposal(id=new_id(), state=RUNNING).SerializeToString() + NEWER
    stream = caller.open()
    stream.send(ProposeRequest(proposals=[Proposal.FromString(proposal)]))
    decision = stream.decision(Proposal.FromString(proposal).id)
    assert isinstance(decision, Decision)
    assert decision.error.field == "run"
    assert "`flow_run_id`, `task_run_id`" in decision.error.message
    stream.say_goodbye()


def test_a_state_that_only_newer_clients_know_is_refused(caller: Client) -> None:
    run = create_task(caller, create_flow(caller).spec.id)
    # ProposedState.type, 99.
    request = SetTaskRunStateRequest(task_run_id=run.spec.id).SerializeToString() + b"\x1a\x02\x08\x63"
    code, reason, fields, message = refused(caller, "SetTaskRunState", request)
    assert (code, reason, fields) == (
        StatusCode.INVALID_ARGUMENT,
        "ERROR_REASON_INVALID_ARGUMENT",
        ("state.type",),
    )
    assert "99" in message
    assert "STATE_TYPE_RUNNING" in message


@pytest.mark.parametrize(
    ("method", "request_", "field", "said"),
    [
        ("CreateFlowRun", CreateFlowRunRequest(), "flow_run", "not set"),
        ("CreateFlowRun", CreateFlowRunRequest(flow_run=FlowRunSpec()), "flow_run.flow_name", "not set"),
        ("CreateTaskRun", CreateTaskRunRequest(), "task_run", "not set"),
        ("SetTaskRunState", SetTaskRunStateRequest(), "task_run_id", "a UUID"),
        ("SetTaskRunState", SetTaskRunStateRequest(task_run_id=new_id()), "state", "a ProposedState"),
    ],
)
def test_an_old_client_that_leaves_out_what_is_required_is_told_which_field(
    method: str, request_: Message, field: str, said: str, caller: Client
) -> None:
    code, reason, fields, message = refused(caller, method, request_)
    assert (code, reason, fields) == (StatusCode.INVALID_ARGUMENT, "ERROR_REASON_INVALID_ARGUMENT", (field,))
    assert field in message
    assert said in message


def test_bytes_that_are_no_message_are_an_error_of_that_call_alone(caller: Client) -> None:
    code, reason, _, message = refused(caller, "CreateFlowRun", b"\xff\xff\xff")
    assert (code, reason) == (StatusCode.INVALID_ARGUMENT, "ERROR_REASON_INVALID_ARGUMENT")
    assert "clearway.v1.CreateFlowRunRequest" in message
    assert caller.stub.GetServerInfo(GetServerInfoRequest()).version


def test_a_call_that_this_version_does_not_have_is_unimplemented(caller: Client) -> None:
    code, reason, _, _ = refused(caller, "PauseFlowRun", b"")
    assert (code, reason) == (StatusCode.UNIMPLEMENTED, "")
