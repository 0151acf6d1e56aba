"""Real processes whose wall clock is set by hours: no lease and no delay ends sooner or later for it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clearway.v1.proposal_pb2 import Decision, ProposeRequest, SetTaskRunStateRequest
from clearway.v1.server_info_pb2 import GetServerInfoRequest
from clearway.v1.session_pb2 import KeepAliveRequest, OpenSessionRequest
from clearway.v1.state_pb2 import State
from integration.test_two_processes import TAG, prepare, states_of
from support.client import Client, Stream
from support.database import rows
from support.limits import set_limit
from support.proposals import (
    COMPLETED,
    FAILED,
    RUNNING,
    create_flow,
    create_task,
    get_task,
    move,
    names,
    scheduled,
    seconds,
    start,
)
from support.server import Server
from support.waiting import wait_until
from support.wall_clock import WallClock
from support.workers import Worker

HOURS = 3 * 3600
LEASE = 2.0
jumps = pytest.mark.parametrize("jump", [HOURS, -HOURS], ids=["forward", "back"])


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "shared.db"


@pytest.fixture
def clock(tmp_path: Path) -> WallClock:
    return WallClock(tmp_path / "clock")


def embedded(clock: WallClock, database: Path, flow: str, lease: float = LEASE) -> Worker:
    return Worker(*clock.module("support.embedded", str(database), str(lease), "hold", flow, TAG, "1"))


def live_through_a_lease(database: Path) -> None:
    """Return when every session that is open now was renewed after a whole lease, or has ended."""
    begun, query = time.monotonic(), "SELECT id, expires FROM session WHERE ended = 0"
    wait_until(lambda: time.monotonic() > begun + LEASE, "a lease's time")
    then = dict(rows(database, query))

    def have_moved() -> bool:
        now = dict(rows(database, query))
        return all(now.get(id_) != expires for id_, expires in then.items())

    wait_until(have_moved, "a renewal of each session")


@jumps
@pytest.mark.parametrize("alone", [True, False], ids=["of one process", "of the machine"])
def test_of_two_processes_that_live_neither_ends_the_other(
    database: Path, tmp_path: Path, clock: WallClock, jump: int, alone: bool
) -> None:
    flow = prepare(database, 2)
    other_clock = WallClock(tmp_path / "other clock") if alone else clock
    with embedded(clock, database, flow) as one, embedded(other_clock, database, flow) as other:
        runs = [one.hear("holds"), other.hear("holds")]
        clock.set(jump)
        live_through_a_lease(database)
        clock.set(0)
        live_through_a_lease(database)
        assert [states_of(database, run) for run in runs] == [["Running"], ["Running"]]
        for process in (one, other):
            process.tell("COMPLETED")
            assert process.hear("answer") == "accept"
    lines = [line for line in one.errors if "the wall clock jumped" in line]
    there, back = ("forward", "back") if jump > 0 else ("back", "forward")
    assert [line.split(" s;")[0] for line in lines] == [
        f"the wall clock jumped {there} by 10800.0",
        f"the wall clock jumped {back} by 10800.0",
    ]


@jumps
def test_what_a_killed_process_held_is_free_at_once_also_then(
    database: Path, clock: WallClock, jump: int
) -> None:
    flow = prepare(database, 1)
    with embedded(clock, database, flow, lease=3600) as one:
        first = one.hear("holds")
        with embedded(clock, database, flow, lease=3600) as other:
            second = other.hear("waits")
            clock.set(jump)
            one.kill()
            assert other.hear("holds") == second
            assert states_of(database, first) == ["Running", "Crashed"]


def test_a_process_that_lives_keeps_what_it_has_while_no_thread_of_it_runs(
    database: Path, clock: WallClock
) -> None:
    flow = prepare(database, 1)
    with embedded(clock, database, flow, lease=1) as one:
        first = one.hear("holds")
        with embedded(clock, database, flow, lease=1) as other:
            second = other.hear("waits")
            one.tell("HOG 4")
            one.hear("hogged")
            one.tell("COMPLETED")
            assert one.hear("answer") == "accept"
            assert other.hear("holds") == second
    assert states_of(database, first) == ["Running", "Completed"]


SERVER_LEASE = 6.0


@pytest.fixture
def server(database: Path, clock: WallClock) -> Iterator[Server]:
    lease = {"CLEARWAY_LEASE_SECONDS": str(SERVER_LEASE)}
    with Server(database, environment=lease, clock=clock) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.address) as client:
        yield client


def open_session(client: Client, name: str) -> str:
    return client.stub.OpenSession(OpenSessionRequest(client_name=name)).session_id


def ask(client: Client, run_id: str, state: State, session_id: str = "") -> Decision:
    request = SetTaskRunStateRequest(task_run_id=run_id, state=state, session_id=session_id)
    return client.stub.SetTaskRunState(request).decision


@contextlib.contextmanager
def kept_alive(client: Client, session_id: str, stream: Stream) -> Iterator[None]:
    """Keep a session and a stream alive, as their clients do."""
    over, wrong = threading.Event(), []

    def keep() -> None:
        number = 0
        try:
            while not over.wait(SERVER_LEASE / 4):
                client.stub.KeepAlive(KeepAliveRequest(session_id=session_id))
                stream.send(ProposeRequest(ping=(number := number + 1)))
        except Exception as error:  # noqa: BLE001 - the test says so
            wrong.append(error)

    keeper = threading.Thread(target=keep)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()
    assert wrong == []


@jumps
def test_leases_of_a_server_last_as_long_as_they_were_given(
    server: Server, client: Client, clock: WallClock, jump: int
) -> None:
    flow, tag = create_flow(client).spec.id, set_limit(client, 1)
    kept, silent, stream = open_session(client, "kept"), open_session(client, "silent"), client.open()
    run_of_kept = create_task(client, flow).spec.id
    assert ask(client, run_of_kept, RUNNING, kept).HasField("accept")
    run_of_stream = stream.decide(start(flow)).run_id
    with kept_alive(client, kept, stream):
        run_of_silent = create_task(client, flow, tags=[tag]).spec.id
        assert ask(client, run_of_silent, RUNNING, silent).HasField("accept")
        waits = start(flow, tags=[tag])
        assert stream.decide(waits).wait.queued
        clock.set(jump)
        # It blocks no other run once its lease is over by time that really passed.
        assert stream.final(waits.id).HasField("accept")
        assert names(client, run_of_silent) == ["Pending", "Running", "Crashed"]
        assert names(client, run_of_kept) == ["Pending", "Running"]
        assert names(client, run_of_stream) == ["Running"]
        assert ask(client, run_of_kept, COMPLETED, kept).HasField("accept")
        assert stream.decide(move(run_of_stream, COMPLETED)).HasField("accept")
    assert timedelta(0) <= get_task(client, run_of_kept).total_run_time.ToTimedelta() < timedelta(hours=1)
    wait_until(lambda: any("wall clock jumped" in line for line in server.log), "a line in the log")
    stream.say_goodbye()


@jumps
def test_a_retry_waits_for_its_delay_and_a_schedule_for_its_time(
    client: Client, clock: WallClock, jump: int
) -> None:
    flow, stream = create_flow(client).spec.id, client.open()
    run = stream.decide(start(flow, retries=1, retry_delays=[seconds(2)])).run_id
    in_an_hour = create_task(client, flow, scheduled(timedelta(hours=1))).spec.id
    begun = time.monotonic()
    assert stream.decide(move(run, FAILED)).state.name == "AwaitingRetry"
    clock.set(jump)
    while not (decision := stream.decide(move(run, RUNNING))).HasField("accept"):
        left = decision.wait.retry_after.ToTimedelta()
        assert timedelta(0) < left <= timedelta(seconds=2)
        time.sleep(left.total_seconds())
    assert time.monotonic() - begun >= 2
    assert decision.state.name == "Retrying"

    scheduled_run = ask(client, in_an_hour, RUNNING)
    if jump > 0:
        assert scheduled_run.HasField("accept")
    else:
        left = scheduled_run.wait.retry_after.ToTimedelta()
        assert timedelta(hours=3) < left <= timedelta(hours=4)
    now = client.stub.GetServerInfo(GetServerInfoRequest()).now.ToDatetime(UTC)
    assert abs(now - datetime.now(UTC) - timedelta(seconds=jump)) < timedelta(minutes=1)
    stream.say_goodbye()
