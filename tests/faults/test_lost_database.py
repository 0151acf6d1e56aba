"""A database deleted, replaced or moved while a server has it open: no sent decision is lost."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from grpc import StatusCode

from clearway.v1.concurrency_limit_pb2 import SetConcurrencyLimitRequest
from clearway.v1.proposal_pb2 import Decision, SetTaskRunStateRequest
from clearway.v1.task_run_pb2 import ListTaskRunsRequest
from support.client import Client
from support.database import locked, rows
from support.health import NOT_SERVING, ORCHESTRATOR, SERVING, HealthWatch
from support.proposals import COMPLETED, RUNNING, create_flow, create_task, start
from support.server import Server
from support.starvation import seconds_without_processor
from support.waiting import wait_until

STATES = "SELECT id FROM state"


def replace(path: Path) -> None:
    other = path.with_name("other.db")
    shutil.copy(path, other)
    other.replace(path)


def beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


LOSSES: dict[str, tuple[Callable[[Path], object], str]] = {
    "deleted": (Path.unlink, "was deleted or moved away"),
    "moved": (lambda path: path.rename(path.with_name("moved.db")), "was deleted or moved away"),
    "replaced": (replace, "was replaced by another file"),
    "emptied": (lambda path: path.write_bytes(b""), "was emptied"),
    "log deleted": (lambda path: beside(path, "-wal").unlink(), "server.db-wal"),
    "log replaced": (lambda path: replace(beside(path, "-wal")), "server.db-wal"),
    "memory deleted": (lambda path: beside(path, "-shm").unlink(), "server.db-shm"),
}


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.address) as client:
        yield client


def events(server: Server) -> list[tuple[str, str]]:
    """Return the level and text of the server's log lines, except those of its start."""
    logged = [json.loads(line) for line in server.log]
    return [(each["level"], each["event"]) for each in logged if each["event"] != "listening"]


def in_the_file_alone(path: Path) -> set[str]:
    """Return the states in a database file without its WAL."""
    uri = f"{path.as_uri()}?mode=ro&immutable=1"
    # During a checkpoint, the file alone may be inconsistent.
    moving = contextlib.suppress(sqlite3.DatabaseError)
    with moving, contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'state'").fetchall():
            return set()
        return {id_ for (id_,) in connection.execute(STATES)}
    return set()


@pytest.mark.parametrize("loss", LOSSES)
def test_a_lost_database_is_noticed_at_once_and_nothing_is_accepted(
    server: Server, client: Client, loss: str
) -> None:
    lose, said = LOSSES[loss]
    flow = create_flow(client).spec.id
    task = create_task(client, flow).spec.id
    stream = client.open()
    assert stream.decide(start(flow)).HasField("accept")
    with HealthWatch(server.address) as whole, HealthWatch(server.address, ORCHESTRATOR) as one:
        one.await_status(SERVING)
        lose(server.database)
        proposals = [start(flow) for _ in range(100)]
        stream.propose(*proposals)
        for proposal in proposals:
            decision = stream.decision(proposal.id)
            assert decision.error.message.count(said) == 1, decision
        write = SetConcurrencyLimitRequest(tag="some", limit=1)
        proposal = SetTaskRunStateRequest(task_run_id=task, state=RUNNING)
        for method, request in (
            ("ListTaskRuns", ListTaskRunsRequest()),
            ("SetConcurrencyLimit", write),
            ("SetTaskRunState", proposal),
        ):
            failure = client.fails(method, request)
            assert (failure.code, failure.reason) == (
                StatusCode.UNAVAILABLE,
                "ERROR_REASON_STORE_UNAVAILABLE",
            )
            assert said in failure.message
            assert failure.retry_seconds == 1
        for watch in (whole, one):
            watch.await_status(NOT_SERVING)
            assert watch.check() == NOT_SERVING
    assert server.stop() == 0
    ((level, event), *rest) = events(server)
    assert level == "error"
    assert said in event
    assert rest == [("info", "draining"), ("info", "stopped")]


@pytest.mark.parametrize("loss", LOSSES)
def test_a_lost_database_is_noticed_within_a_second_although_nothing_is_called(
    server: Server, loss: str
) -> None:
    with HealthWatch(server.address, ORCHESTRATOR) as watch:
        watch.await_status(SERVING)
        before = seconds_without_processor(server.pid, os.getpid())
        lost_at = time.monotonic()
        LOSSES[loss][0](server.database)
        watch.await_status(NOT_SERVING)
        took = time.monotonic() - lost_at
        # The promise is one second, minus the time in which the server and the test were runnable but not
        # running: a few milliseconds on a quiet machine.
        starved = seconds_without_processor(server.pid, os.getpid()) - before
        assert took - starved < 1
        assert watch.seen == [SERVING, NOT_SERVING]


def test_what_waits_for_its_commit_when_the_file_is_deleted_is_refused(
    server: Server, client: Client
) -> None:
    flow = create_flow(client).spec.id
    stream = client.open()
    proposals = [start(flow) for _ in range(400)]
    with locked(server.database):
        stream.propose(*proposals)
        stream.ping(1)
        server.database.unlink()
    for proposal in proposals:
        decision = stream.decision(proposal.id)
        assert decision.HasField("error"), decision


def test_no_decision_is_told_about_what_was_proposed_after_the_deletion(
    server: Server, client: Client
) -> None:
    flow = create_flow(client).spec.id
    lost, ended = threading.Event(), threading.Event()
    told = threading.Semaphore(0)

    def propose() -> list[Decision]:
        """Propose until the stream ends; return the accepts of proposals sent after the deletion."""
        stream, late = client.open(), []
        while not ended.is_set():
            after = lost.is_set()
            decision = stream.decide(start(flow))
            told.release()
            if after and decision.HasField("accept"):
                late.append(decision)
        return late

    with ThreadPoolExecutor(4) as pool, HealthWatch(server.address) as watch:
        clients = [pool.submit(propose) for _ in range(4)]
        for _ in range(200):
            told.acquire()
        server.database.unlink()
        lost.set()
        watch.await_status(NOT_SERVING)
        for _ in range(200):
            told.acquire()
        ended.set()
        assert [each.result() for each in clients] == [[]] * 4


def test_a_file_that_is_moved_back_is_served_again_with_all_that_was_told(
    server: Server, client: Client
) -> None:
    flow = create_flow(client).spec.id
    stream = client.open()
    told = [stream.decide(start(flow)) for _ in range(20)]
    with HealthWatch(server.address) as watch:
        away = server.database.rename(server.database.with_name("away.db"))
        watch.await_status(NOT_SERVING)
        again = start(flow)
        assert stream.decide(again).HasField("error")
        away.rename(server.database)
        watch.await_status(SERVING)
        stream.propose(again)
        assert stream.decision(again.id).HasField("accept")
        for decision in told:
            proposal = start(flow)
            proposal.ClearField("create_task_run")
            proposal.task_run_id = decision.run_id
            proposal.state.CopyFrom(COMPLETED)
            assert stream.decide(proposal).HasField("accept")
    stored = {id_ for (id_,) in rows(server.database, STATES)}
    assert stored >= {decision.proposal_id for decision in stream.answered() if decision.HasField("accept")}
    assert [level for level, _ in events(server)] == ["error", "warning"]
    assert "accepts transactions again" in events(server)[1][1]


def test_another_database_in_its_place_is_not_touched_until_a_restart(server: Server, client: Client) -> None:
    flow = create_flow(client).spec.id
    stream = client.open()
    assert stream.decide(start(flow)).HasField("accept")
    with Server(server.database.with_name("second.db")) as second:
        second.stop()
    with HealthWatch(server.address) as watch:
        second.database.replace(server.database)
        # The WAL of the old database does not belong to the new one.
        beside(server.database, "-wal").rename(beside(server.database, "-old-wal"))
        beside(server.database, "-shm").rename(beside(server.database, "-old-shm"))
        before = server.database.read_bytes()
        watch.await_status(NOT_SERVING)
        assert stream.decide(start(flow)).HasField("error")
        client.fails("ListTaskRuns", ListTaskRunsRequest())
        assert server.stop() == 0
    assert server.database.read_bytes() == before
    server.start()
    with Client(server.address) as again:
        assert list(again.stub.ListTaskRuns(ListTaskRunsRequest()).task_runs) == []
        assert create_flow(again).state.name == "Pending"


@pytest.mark.parametrize("endings", [("-wal",), ("-wal", "-shm")], ids=" ".join)
def test_what_was_told_outlives_a_log_that_was_deleted(
    server: Server, client: Client, endings: tuple[str, ...]
) -> None:
    flow = create_flow(client).spec.id
    stream = client.open()
    told = {stream.decide(start(flow)).proposal_id for _ in range(100)}
    assert not told <= in_the_file_alone(server.database)
    for ending in endings:
        beside(server.database, ending).unlink()
    with HealthWatch(server.address) as watch:
        watch.await_status(NOT_SERVING)
    wait_until(lambda: told <= in_the_file_alone(server.database), "the log's way into the file")
    server.kill()
    server.start()
    with Client(server.address) as again:
        assert create_flow(again).state.name == "Pending"
    assert told <= {id_ for (id_,) in rows(server.database, STATES)}


def test_nothing_is_made_where_the_database_was(server: Server, client: Client) -> None:
    flow = create_flow(client).spec.id
    stream = client.open()
    assert stream.decide(start(flow)).HasField("accept")
    with HealthWatch(server.address) as watch:
        server.database.unlink()
        watch.await_status(NOT_SERVING)
    client.fails("ListTaskRuns", ListTaskRunsRequest())
    stream.propose(*[start(flow) for _ in range(2000)])  # enough to cause a checkpoint
    stream.ping(1)
    assert server.stop() == 0
    assert not server.database.exists()
