"""Several processes on one file: one limit, one queue, and what a dead process held comes back."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from clearway.v1.concurrency_limit_pb2 import SetConcurrencyLimitRequest
from clearway.v1.flow_run_pb2 import CreateFlowRunRequest, FlowRunSpec
from clearway_service.service import Service
from clearway_service.settings import ServiceSettings
from support.client import Client
from support.database import history_gaps, most_running, row_counts, rows, slots_of_the_dead
from support.limits import get_limit
from support.proposals import COMPLETED, get_task, move, new_id, start
from support.server import Server
from support.waiting import wait_until
from support.workers import Worker

TAG = "shared"
LEASE = "30"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "shared.db"


@pytest.fixture
def flow(database: Path) -> str:
    """Prepare the file: a limit of one, and a flow run."""
    return prepare(database, 1)


def prepare(database: Path, limit: int) -> str:
    flow = new_id()

    async def create(service: Service) -> None:
        await service.orchestrator.SetConcurrencyLimit(SetConcurrencyLimitRequest(tag=TAG, limit=limit))
        request = CreateFlowRunRequest(flow_run=FlowRunSpec(id=flow, flow_name="flow"))
        await service.orchestrator.CreateFlowRun(request)

    service = Service(ServiceSettings(database=database))
    asyncio.run(create(service))
    service.close()
    return flow


def embedded(database: Path, mode: str, flow: str, count: int = 1, lease: str = LEASE) -> Worker:
    return Worker("support.embedded", str(database), lease, mode, flow, TAG, str(count))


def states_of(database: Path, run_id: str) -> list[str]:
    query = "SELECT name FROM state WHERE run_id = ? ORDER BY ordinal"
    return [name for (name,) in rows(database, query, run_id)]


def test_two_processes_keep_one_limit_and_finish_all_their_work(database: Path) -> None:
    flow = prepare(database, 3)
    with embedded(database, "work", flow, 150) as one, embedded(database, "work", flow, 150) as other:
        assert [one.hear("completed"), other.hear("completed")] == [150, 150]
        assert [one.wait(), other.wait()] == [0, 0]
        assert "locked" not in "".join(one.errors + other.errors)
    assert most_running(database, TAG) == 3
    assert rows(database, "SELECT DISTINCT state_name FROM task_run") == [("Completed",)]
    assert history_gaps(database) == []
    assert slots_of_the_dead(database) == []
    left = row_counts(database)
    assert (left["slot"], left["waiter"], left["waiter_tag"]) == (0, 0, 0)


def test_a_slot_goes_from_one_process_to_the_other(database: Path, flow: str) -> None:
    with embedded(database, "hold", flow) as one:
        first = one.hear("holds")
        with embedded(database, "hold", flow) as other:
            second = other.hear("waits")
            one.tell("COMPLETED")
            assert one.hear("answer") == "accept"
            assert other.hear("holds") == second
            assert states_of(database, first) == ["Running", "Completed"]
            assert states_of(database, second) == ["Pending", "Running"]


def test_what_a_killed_process_held_goes_on_long_before_its_lease_ends(database: Path, flow: str) -> None:
    with embedded(database, "hold", flow, lease="3600") as one:
        first = one.hear("holds")
        with embedded(database, "hold", flow, lease="3600") as other:
            second = other.hear("waits")
            one.kill()
            assert other.hear("holds") == second
    assert states_of(database, first) == ["Running", "Crashed"]
    ((message,),) = rows(database, "SELECT message FROM state WHERE run_id = ? AND name = 'Crashed'", first)
    assert "embedded hold" in message
    assert "its process was found dead" in message


def test_the_next_runs_within_a_second_of_a_kill(database: Path, flow: str) -> None:
    with embedded(database, "hold", flow, lease="3600") as one:
        one.hear("holds")
        with embedded(database, "hold", flow, lease="3600") as other:
            second = other.hear("waits")
            one.kill()
            # A second is the bound; three are for a machine that is busy with others.
            wait_until(lambda: states_of(database, second) == ["Pending", "Running"], "the hand-off", 3)


def test_a_killed_process_that_waited_gets_no_slot(database: Path, flow: str) -> None:
    with embedded(database, "hold", flow) as one:
        one.hear("holds")
        with embedded(database, "hold", flow) as gone, embedded(database, "hold", flow) as other:
            lost = gone.hear("waits")
            second = other.hear("waits")
            gone.kill()
            one.tell("COMPLETED")
            assert other.hear("holds") == second
    assert states_of(database, lost)[0] == "Pending"
    assert states_of(database, lost)[-1] in ("Pending", "Crashed")


def test_a_process_that_ends_gives_everything_back(database: Path, flow: str) -> None:
    with embedded(database, "hold", flow) as one:
        first = one.hear("holds")
        with embedded(database, "hold", flow) as other:
            second = other.hear("waits")
            one._process.stdin.close()  # type: ignore[union-attr] # it ends when nothing more is told
            assert other.hear("holds") == second
    assert states_of(database, first) == ["Running", "Crashed"]


def test_a_process_that_was_stopped_past_its_lease_is_told_so(database: Path, flow: str) -> None:
    with embedded(database, "hold", flow, lease="1") as one:
        first = one.hear("holds")
        with stopped(one, database), embedded(database, "hold", flow, lease="1") as other:
            # It may come to wait, or only after the lease has run out.
            other.hear("holds")
            assert states_of(database, first) == ["Running", "Crashed"]
        one.tell("COMPLETED")
        told = one._told.get(timeout=30)
        assert told is not None
        assert told["answer"] == "abort"
        assert "Crashed" in told["message"]
        assert "it was last seen at" in told["state"]
    assert states_of(database, first) == ["Running", "Crashed"]


@contextlib.contextmanager
def stopped(worker: Worker, database: Path) -> Iterator[None]:
    """Stop a process that is not just writing: it would keep everyone else from that."""

    def stop() -> bool:
        worker.send(signal.SIGSTOP)
        with contextlib.closing(sqlite3.connect(database, timeout=0.5, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("ROLLBACK")
            except sqlite3.OperationalError:
                worker.send(signal.SIGCONT)
                return False
        return True

    wait_until(stop, "a stop between two transactions")
    yield
    worker.send(signal.SIGCONT)


def test_a_server_and_an_embedded_engine_share_the_queue(database: Path, flow: str) -> None:
    with Server(database) as server, Client(server.address) as client:
        stream = client.open()
        held = stream.decide(start(flow, tags=[TAG])).run_id
        with embedded(database, "hold", flow) as other:
            theirs = other.hear("waits")
            waits = start(flow, tags=[TAG])
            assert stream.decide(waits).wait.queued
            assert [waiter.client_name for waiter in get_limit(client, TAG).waiters] == [
                "embedded hold",
                "tester",
            ]
            stream.propose(move(held, COMPLETED))
            assert other.hear("holds") == theirs
            other.tell("COMPLETED")
            assert stream.final(waits.id).HasField("accept")
        assert get_task(client, theirs).state.name == "Completed"
        stream.say_goodbye()
