"""The stream's conversation: how it opens, what may be said on it, and what breaks it."""

from __future__ import annotations

import pytest
from grpc import StatusCode

from clearway.v1.proposal_pb2 import Await, Hello, Proposal, ProposeRequest
from clearway.v1.server_info_pb2 import GetServerInfoRequest
from support.client import Client, Stream
from support.database import contents
from support.proposals import (
    RUNNING,
    create_flow,
    names,
    start,
)
from support.server import Server

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
    assert (end.code, end.reason) == (StatusCode.FAILED_PRECONDITION, "ERROR_REASON_PROTOCOL")
    assert end.fields == ("hello",)
    assert stream.messages == []


def test_a_second_hello_ends_the_stream_and_what_was_proposed_is_still_answered(caller: Client) -> None:
    flow = create_flow(caller)
    stream = caller.open()
    proposal = start(flow.spec.id)
    stream.propose(proposal)
    stream.send(ProposeRequest(hello=Hello()))
    end = stream.end()
    assert (end.code, end.reason, end.fields) == (
        StatusCode.FAILED_PRECONDITION,
        "ERROR_REASON_PROTOCOL",
        ("hello",),
    )
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
    assert (end.code, end.reason, end.fields) == (
        StatusCode.INVALID_ARGUMENT,
        "ERROR_REASON_INVALID_ARGUMENT",
        (field,),
    )
    assert said in end.message
    assert contents(shared_server.database) == before


def test_a_session_that_never_was_cannot_be_resumed(caller: Client) -> None:
    stream = Stream(caller.stub)
    stream.send(ProposeRequest(hello=Hello(resume_session_id=UNKNOWN)))
    end = stream.end()
    assert (end.code, end.reason) == (StatusCode.FAILED_PRECONDITION, "ERROR_REASON_SESSION_EXPIRED")
    assert end.fields == ("hello.resume_session_id",)
    assert UNKNOWN in end.message


def test_a_stream_that_says_nothing_at_all_ends(caller: Client) -> None:
    stream = Stream(caller.stub)
    stream.close_sending()
    assert stream.end().code == StatusCode.OK


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
    assert (end.code, end.fields) == (StatusCode.INVALID_ARGUMENT, ("withdrawals[0]",))
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
    assert (end.code, end.reason) == (StatusCode.INVALID_ARGUMENT, "ERROR_REASON_INVALID_ARGUMENT")
    assert end.fields[0].startswith("awaits")
    assert said in end.message
    assert contents(shared_server.database) == before


def test_awaits_of_runs_that_do_not_exist_are_ignored(caller: Client) -> None:
    stream = caller.open()
    stream.send(ProposeRequest(awaits=[Await(task_run_id=UNKNOWN, awaited_task_run_id=UNKNOWN)]))
    stream.ping(1)
    assert stream.say_goodbye().code == StatusCode.OK


def test_a_ping_is_answered_with_its_number(caller: Client) -> None:
    stream = caller.open()
    for number in (7, 1, -5, 2**62):
        stream.ping(number)
    assert [message.pong for message in stream.messages if message.pong] == [7, 1, -5, 2**62]
    stream.say_goodbye()
