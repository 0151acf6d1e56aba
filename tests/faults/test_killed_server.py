"""A server killed in the middle of a stream of proposals: the decisions it sent are durable."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from clearway.v1.proposal_pb2 import Proposal
from support.client import Client, EndedError, Stream
from support.database import history_gaps, rows, slots_of_the_dead
from support.payloads import PAYLOAD
from support.proposals import COMPLETED, RUNNING, create_flow, move, new_id, start, with_result
from support.server import Server
from support.waiting import wait_until

PROPOSALS = 600
DONE = with_result(COMPLETED, PAYLOAD.encode())  # must never appear in the server's log


def resume(client: Client, session_id: str) -> Stream | None:
    try:
        return client.open(resume=session_id)
    except EndedError:
        return None


@pytest.mark.parametrize("seed", [1, 2])
def test_what_was_told_before_the_kill_is_in_the_history(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    with Server(tmp_path / "server.db") as server, Client(server.address) as client:
        flow = create_flow(client).spec.id
        proposals: list[Proposal] = []
        for _ in range(PROPOSALS // 2):
            started = start(flow)
            proposals += [started, move(started.create_task_run.id, DONE)]
        stream = client.open()
        enough = chance.randrange(1, PROPOSALS)
        rest = list(proposals)
        while rest:
            size = chance.randrange(1, 40)
            stream.propose(*rest[:size])
            rest = rest[size:]
        wait_until(lambda: len(list(stream.answered())) >= enough, f"{enough} answers")
        server.kill()
        stream.end()
        told = {decision.proposal_id: decision for decision in stream.answered()}
        recorded = dict(rows(server.database, "SELECT id, run_id FROM state"))
        for proposal_id, decision in told.items():
            assert decision.HasField("accept")
            assert recorded[proposal_id] == decision.run_id
        assert history_gaps(server.database) == []

        server.start()
        back = wait_until(lambda: resume(client, stream.session_id), "the resumption")
        back.propose(*proposals)
        again = {proposal.id: back.decision(proposal.id) for proposal in proposals}
        assert {id_: again[id_] for id_ in told} == told
        assert all(decision.HasField("accept") for decision in again.values())
        back.say_goodbye()
        states = "SELECT run_id, ordinal, type FROM state WHERE kind = 'task' ORDER BY run_id, ordinal"
        histories: dict[str, list[int]] = {}
        for run_id, _ordinal, type_ in rows(server.database, states):
            histories.setdefault(run_id, []).append(type_)
        assert len(histories) == PROPOSALS // 2
        assert set(map(tuple, histories.values())) == {(RUNNING.type, COMPLETED.type)}
        assert history_gaps(server.database) == []
        assert slots_of_the_dead(server.database) == []


def test_a_server_that_is_killed_while_it_starts_leaves_a_database_that_opens(tmp_path: Path) -> None:
    import subprocess  # noqa: PLC0415 - only here a server is killed during its start
    import sys  # noqa: PLC0415

    database = tmp_path / "server.db"
    command = [sys.executable, "-m", "clearway_service", "--port", "0", "--database", str(database)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_until(database.exists, "the file")
    process.kill()
    process.wait()
    with Server(database) as server, Client(server.address) as client:
        assert create_flow(client, id=new_id()).state.name == "Pending"
