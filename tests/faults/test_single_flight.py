"""A hundred runs of several processes that request one key at once, and a killed leader."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from support.proposals import new_id
from support.server import Server
from support.waiting import wait_until
from support.workers import Worker

PROCESSES, RUNS = 4, 25


@pytest.fixture(params=["embedded", "server"])
def workers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Worker]]:
    """Start the processes on one file or with one server, all with the same key."""
    if request.param == "server":
        monkeypatch.setenv("CLEARWAY_ADDRESS", request.getfixturevalue("unforgiving_server").address)
    key = f"shared-{new_id()}"
    with ExitStack() as stack:
        yield [stack.enter_context(Worker("support.sharing", str(RUNS), key)) for _ in range(PROCESSES)]


def leaders(workers: list[Worker]) -> list[Worker]:
    """Return the workers that started to compute since the last call, once per start."""
    return [worker for worker in workers for told in worker.said() if "computes" in told]


def test_the_key_is_computed_once(workers: list[Worker]) -> None:
    (leader,) = wait_until(lambda: leaders(workers), "a leader")
    leader.tell("go")
    assert [worker.hear("results") for worker in workers] == [[leader.pid] * RUNS] * PROCESSES
    assert leaders(workers) == []


@pytest.mark.parametrize("workers", ["server"], indirect=True)
def test_a_server_that_is_killed_forgets_neither_who_leads_nor_who_waits(
    workers: list[Worker], unforgiving_server: Server
) -> None:
    (leader,) = wait_until(lambda: leaders(workers), "a leader")
    with closing(sqlite3.connect(unforgiving_server.database)) as database:
        # All of them must wait first: a process that has never reached the server would fail.
        waiting = "SELECT count(DISTINCT session_id) FROM waiter"
        wait_until(lambda: database.execute(waiting).fetchone()[0] == PROCESSES, "those who wait")
    unforgiving_server.kill()
    unforgiving_server.start()
    leader.tell("go")
    assert [worker.hear("results") for worker in workers] == [[leader.pid] * RUNS] * PROCESSES
    assert leaders(workers) == []


def test_with_a_leader_that_is_killed_once_more_only(workers: list[Worker]) -> None:
    (victim,) = wait_until(lambda: leaders(workers), "a leader")
    victim.kill()
    left = [worker for worker in workers if worker is not victim]
    (leader,) = wait_until(lambda: leaders(left), "another leader")
    leader.tell("go")
    assert [worker.hear("results") for worker in left] == [[leader.pid] * RUNS] * (PROCESSES - 1)
    assert leaders(left) == []
