"""Sessions of clients that make unary calls: opened, kept, closed, and ended when nobody keeps them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from grpc import StatusCode

from clearway.v1.proposal_pb2 import ABORT_REASON_HELD, Decision, SetTaskRunStateRequest
from clearway.v1.session_pb2 import CloseSessionRequest, KeepAliveRequest, OpenSessionRequest
from clearway.v1.state_pb2 import State
from support.client import Client
from support.limits import held_by, set_limit
from support.proposals import COMPLETED, RUNNING, create_flow, create_task, get_task, names, start
from support.server import Server
from support.waiting import wait_until


@pytest.fixture(scope="module")
def hasty_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    environment = {"CLEARWAY_LEASE_SECONDS": "1.5"}
    with Server(tmp_path_factory.mktemp("hasty") / "server.db", environment=environment) as running:
        yield running


@pytest.fixture
def caller(hasty_server: Server) -> Iterator[Client]:
    with Client(hasty_server.address) as client:
        yield client


@pytest.fixture
def flow(caller: Client) -> str:
    return create_flow(caller).spec.id


def open_session(client: Client, name: str = "a script") -> str:
    answer = client.stub.OpenSession(OpenSessionRequest(client_name=name, language="go"))
    assert answer.lease.ToMilliseconds() == 1_500
    return answer.session_id


def ask(client: Client, run_id: str, state: State, session_id: str) -> Decision:
    request = SetTaskRunStateRequest(task_run_id=run_id, state=state, session_id=session_id)
    return client.stub.SetTaskRunState(request).decision


def test_a_session_holds_runs_against_others(caller: Client, flow: str) -> None:
    run = create_task(caller, flow).spec.id
    mine, other = open_session(caller, "the first"), open_session(caller)
    assert ask(caller, run, RUNNING, mine).HasField("accept")
    held = ask(caller, run, RUNNING, other)
    assert held.abort.reason == ABORT_REASON_HELD
    assert "the first" in held.abort.message
    assert ask(caller, run, RUNNING, "").abort.reason == ABORT_REASON_HELD
    assert ask(caller, run, RUNNING, mine).state.name == "Rerunning"
    assert ask(caller, run, COMPLETED, mine).HasField("accept")


def test_a_closed_session_gives_everything_back_at_once(caller: Client, flow: str) -> None:
    tag = set_limit(caller, 1)
    run = create_task(caller, flow, tags=[tag]).spec.id
    session = open_session(caller)
    ask(caller, run, RUNNING, session)
    stream = caller.open()
    waits = start(flow, tags=[tag])
    assert stream.decide(waits).wait.queued
    for _ in range(2):
        caller.stub.CloseSession(CloseSessionRequest(session_id=session))
    assert stream.decision(waits.id).HasField("accept")
    assert names(caller, run) == ["Pending", "Running", "Crashed"]
    failure = caller.fails("KeepAlive", KeepAliveRequest(session_id=session))
    assert (failure.code, failure.reason) == (StatusCode.FAILED_PRECONDITION, "ERROR_REASON_SESSION_EXPIRED")
    assert session in failure.message
    stream.say_goodbye()


def test_a_session_that_is_kept_lives_and_one_that_is_not_ends(caller: Client, flow: str) -> None:
    tag = set_limit(caller, 2)
    kept, left = (create_task(caller, flow, tags=[tag]).spec.id for _ in range(2))
    mine, forgotten = open_session(caller, "the keeper"), open_session(caller, "the forgetful")
    ask(caller, kept, RUNNING, mine)
    ask(caller, left, RUNNING, forgotten)

    def crashed() -> bool:
        caller.stub.KeepAlive(KeepAliveRequest(session_id=mine))
        return get_task(caller, left).state.name == "Crashed"

    wait_until(crashed, "the end of the session that nobody kept")
    assert "the forgetful" in get_task(caller, left).state.message
    assert held_by(caller, tag) == [kept]
    late = caller.fails(
        "SetTaskRunState",
        SetTaskRunStateRequest(
            task_run_id=create_task(caller, flow).spec.id, state=RUNNING, session_id=forgotten
        ),
    )
    assert (late.code, late.reason) == (StatusCode.FAILED_PRECONDITION, "ERROR_REASON_SESSION_EXPIRED")
    told = ask(caller, left, COMPLETED, forgotten)
    assert "the forgetful" in told.state.message
    assert told.HasField("abort")
