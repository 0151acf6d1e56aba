"""Sessions are leases: who falls silent loses its runs, who comes back in time keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from grpc import StatusCode

from clearway.v1.proposal_pb2 import (
    ABORT_REASON_TERMINAL,
    Hello,
    ProposeRequest,
    SetTaskRunStateRequest,
)
from clearway.v1.server_info_pb2 import GetServerInfoRequest
from support.client import Client, Stream
from support.database import rows
from support.limits import get_limit, held_by, set_limit
from support.proposals import (
    COMPLETED,
    PENDING,
    RUNNING,
    create_flow,
    create_task,
    flow_names,
    get_task,
    move,
    move_flow,
    names,
    start,
    task_states,
)
from support.server import Server
from support.waiting import wait_until

LEASE = timedelta(seconds=2)
HASTY = {"CLEARWAY_LEASE_SECONDS": "2", "CLEARWAY_BROKEN_STREAM_GRACE_SECONDS": "0.2"}


@pytest.fixture(scope="module")
def hasty_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("hasty") / "server.db", environment=HASTY) as running:
        yield running


@pytest.fixture
def caller(hasty_server: Server) -> Iterator[Client]:
    with Client(hasty_server.address) as client:
        yield client


@pytest.fixture
def flow(caller: Client) -> str:
    return create_flow(caller).spec.id


def has_passed(client: Client, span: timedelta) -> Iterator[bool]:
    """Yield whether ``span`` has passed since the first look, by the server's clock."""
    request = GetServerInfoRequest()
    end = client.stub.GetServerInfo(request).current_time.ToDatetime() + span
    while True:
        yield client.stub.GetServerInfo(request).current_time.ToDatetime() > end


def wait_with_pings(client: Client, span: timedelta, *streams: Stream) -> None:
    """Wait for ``span``, while ``streams`` show that they are there."""
    passed = has_passed(client, span)
    numbers = iter(range(1, 1_000_000))

    def look() -> bool:
        number = next(numbers)
        for stream in streams:
            stream.ping(number)
        return next(passed)

    wait_until(look, "time going by")


def test_the_welcome_tells_the_lease(caller: Client) -> None:
    stream = caller.open()
    assert stream.welcome.lease.ToTimedelta() == LEASE
    stream.say_goodbye()


def test_a_broken_stream_loses_its_runs_after_the_grace(
    caller: Client, flow: str, hasty_server: Server
) -> None:
    tag = set_limit(caller, 1)
    stream = caller.open(name="who waits")
    with Client(hasty_server.address) as other:
        lost = other.open(name="worker 7 on host a")
        held = lost.decide(start(flow, tags=[tag])).run_id
        lost.decide(move_flow(flow, RUNNING))
        pending = lost.decide(start(flow, PENDING)).run_id
        gone = start(flow, tags=[tag])
        assert lost.decide(gone).wait.queued
    waits = start(flow, tags=[tag])
    stream.propose(waits)
    wait_until(lambda: get_task(caller, held).state.name == "Crashed", "the crash of the lost run")
    message = get_task(caller, held).state.message
    assert "worker 7 on host a" in message
    assert "its stream broke at 20" in message
    assert "did not reconnect within 0.2 s" in message
    assert flow_names(caller, flow) == ["Pending", "Running", "Crashed"]
    assert names(caller, pending) == ["Pending"]
    assert stream.final(waits.id).HasField("accept")
    assert names(caller, gone.create_task_run.id) == ["Pending"]
    assert get_limit(caller, tag).waiting_count == 0
    stream.say_goodbye()


def test_a_stream_that_falls_silent_is_ended_when_its_lease_runs_out(caller: Client, flow: str) -> None:
    tag = set_limit(caller, 1)
    silent = caller.open(name="the silent one")
    held = silent.decide(start(flow, tags=[tag])).run_id
    waits = start(flow, tags=[tag])
    stream = caller.open()
    assert stream.decide(waits).wait.queued

    def granted() -> bool:
        stream.ping(1)
        return len(stream.decisions(waits.id)) == 2

    wait_until(granted, "the grant")
    assert stream.final(waits.id).HasField("accept")
    end = silent.end()
    assert (end.code, end.reason) == (StatusCode.FAILED_PRECONDITION, "ERROR_REASON_SESSION_EXPIRED")
    state = get_task(caller, held).state
    assert state.name == "Crashed"
    assert "the silent one" in state.message
    stream.say_goodbye()


def test_pings_alone_keep_a_session_and_a_run_without_one_is_held_until_it_ends(
    caller: Client, flow: str
) -> None:
    tag = set_limit(caller, 2)
    stream, idle = caller.open(), caller.open()
    held = stream.decide(start(flow, tags=[tag])).run_id
    free = create_task(caller, flow, tags=[tag]).spec.id
    caller.stub.SetTaskRunState(SetTaskRunStateRequest(task_run_id=free, state=RUNNING))
    wait_with_pings(caller, LEASE * 1.3, stream)
    assert idle.end().reason == "ERROR_REASON_SESSION_EXPIRED"
    assert [holder.HasField("lease_expire_time") for holder in get_limit(caller, tag).holders] == [
        True,
        False,
    ]
    assert stream.decide(move(held, COMPLETED)).HasField("accept")
    assert held_by(caller, tag) == [free]
    stream.say_goodbye()


def test_a_late_client_is_told_why_its_run_has_ended(caller: Client, flow: str, hasty_server: Server) -> None:
    with Client(hasty_server.address) as other:
        lost = other.open(name="late worker")
        held = lost.decide(start(flow)).run_id
        session_id = lost.session_id
    wait_until(lambda: get_task(caller, held).state.name == "Crashed", "the crash")
    late = Stream(caller.stub)
    late.send(ProposeRequest(hello=Hello(resume_session_id=session_id)))
    end = late.end()
    assert (end.code, end.reason) == (StatusCode.FAILED_PRECONDITION, "ERROR_REASON_SESSION_EXPIRED")
    assert session_id in end.message
    again = caller.open(name="late worker")
    for state in (COMPLETED, RUNNING):
        decision = again.decide(move(held, state))
        assert decision.abort.reason == ABORT_REASON_TERMINAL
        assert "Crashed" in decision.abort.message
        assert "late worker" in decision.state.message
    assert names(caller, held) == ["Running", "Crashed"]
    again.say_goodbye()


def test_a_stream_that_resumes_in_time_keeps_its_runs(
    caller: Client, flow: str, hasty_server: Server
) -> None:
    with Client(hasty_server.address) as other:
        lost = other.open()
        held = lost.decide(start(flow)).run_id
        silent = lost.session_id
        # The new stream is there before the old one is known to be lost.
        back = caller.open(resume=silent)
    wait_with_pings(caller, LEASE * 1.2, back)
    assert back.decide(move(held, COMPLETED)).HasField("accept")
    assert names(caller, held) == ["Running", "Completed"]
    back.say_goodbye()


def test_a_restart_of_the_server_ends_nobodys_work(tmp_path: Path) -> None:
    with Server(tmp_path / "server.db", environment=HASTY) as server, Client(server.address) as client:
        flow = create_flow(client).spec.id
        tag = set_limit(client, 1)
        stream = client.open(name="survivor")
        held = stream.decide(start(flow, tags=[tag])).run_id
        waits = start(flow, tags=[tag])
        assert stream.decide(waits).wait.queued
        server.kill()
        assert stream.end().code == StatusCode.UNAVAILABLE
        # Away for longer than the lease: its clients could not have reached it.
        expires = rows(server.database, "SELECT expires FROM session WHERE id = ?", stream.session_id)[0][0]
        clock = "SELECT CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"
        wait_until(lambda: rows(server.database, clock)[0][0] > expires + 300_000, "the lease's end")
        server.start()
        back = wait_until(lambda: _resume(server, stream.session_id), "the resumption")
        back.propose(waits)
        assert back.decision(waits.id).wait.queued
        assert back.decide(move(held, COMPLETED)).HasField("accept")
        assert back.final(waits.id).HasField("accept")
        assert [state.name for state in task_states(client, held)] == ["Running", "Completed"]
        back.say_goodbye()


def _resume(server: Server, session_id: str) -> Stream:
    return Client(server.address).open(resume=session_id)
