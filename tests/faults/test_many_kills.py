"""Hundreds of runs under a limit, while clients and the server are killed: the invariants hold."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from support.client import Client
from support.database import history_gaps, most_running, row_counts, rows, slots_of_the_dead
from support.limits import set_limit
from support.proposals import create_flow
from support.server import Server
from support.waiting import wait_until
from support.workers import Worker

CLIENTS = 3
RUNS_EACH = 80
LIMIT = 4
TERMINAL = {4, 7}
SEED = 7


class Crowd:
    """Clients that share a limit, each replaced when it is killed.

    Args:
        server: Theirs.
        stack: Ends them.
    """

    def __init__(self, server: Server, stack: ExitStack) -> None:
        self._server, self._stack = server, stack
        with Client(server.address) as client:
            self.flow = create_flow(client).id
            self.tag = set_limit(client, LIMIT)
        self.told: list[tuple[str, str, int]] = []
        self.workers = [self._start(number) for number in range(CLIENTS)]

    def _start(self, number: int) -> Worker:
        keys = ",".join(f"{number}-{index}" for index in range(RUNS_EACH))
        arguments = (self._server.address, self.flow, self.tag, f"client {number}", keys)
        return self._stack.enter_context(Worker("support.striving", *arguments))

    def replace(self, number: int) -> None:
        """Kill a client, and let a successor take up its runs."""
        self.workers[number].kill()
        self.listen()
        self.workers[number] = self._start(number)

    def listen(self) -> int:
        """Note what the clients were told; return how much that is."""
        for worker in self.workers:
            for said in worker.said():
                if "accept" in said:
                    proposal_id, run_id, type_ = said["accept"]
                    self.told.append((proposal_id, run_id, type_))
        return len(self.told)

    def finish(self) -> None:
        """Return when each client has finished its runs."""
        for worker in self.workers:
            assert worker.wait() == 0, worker.errors[-20:]
        self.listen()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_the_limit_holds_and_nothing_is_lost(impatient_server: Server, stack: ExitStack) -> None:
    chance = random.Random(SEED)
    server = impatient_server
    crowd = Crowd(server, stack)
    deeds = ["client", "client", "server", "client", "both", "client"]
    chance.shuffle(deeds)
    for deed in deeds:
        heard = crowd.listen()
        wanted = heard + chance.randrange(10, 40)
        wait_until(lambda wanted=wanted: crowd.listen() >= wanted, f"{wanted} accepts", 60)  # type: ignore[misc]
        if deed in ("client", "both"):
            crowd.replace(chance.randrange(CLIENTS))
        if deed in ("server", "both"):
            server.kill()
            server.start()
    crowd.finish()

    database = server.database
    recorded = {id_: (run, type_) for id_, run, type_ in rows(database, "SELECT id, run_id, type FROM state")}
    assert crowd.told
    for proposal_id, run_id, type_ in crowd.told:
        assert recorded[proposal_id] == (run_id, type_)
    ended = rows(database, "SELECT state_type, count(*) FROM task_run GROUP BY state_type")
    assert {type_ for type_, _ in ended} <= TERMINAL
    assert sum(count for _, count in ended) == CLIENTS * RUNS_EACH
    assert most_running(database, crowd.tag) == LIMIT
    assert history_gaps(database) == []
    assert slots_of_the_dead(database) == []
    left = row_counts(database)
    assert (left["slot"], left["waiter"], left["waiter_tag"]) == (0, 0, 0)
    assert not [line for line in server.log if '"level": "error"' in line]
