"""A full disk: no decision is sent that is not durable, the log stays small, and service resumes."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from grpc import StatusCode

from clearway.v1.proposal_pb2 import Decision
from clearway.v1.session_pb2 import KeepAliveRequest, OpenSessionRequest
from support.client import Client, EndedError, Stream
from support.database import history_gaps, locked, rows
from support.full_disk import full_disk
from support.health import NOT_SERVING, ORCHESTRATOR, SERVING, HealthWatch
from support.limits import set_limit
from support.proposals import COMPLETED, create_flow, get_task, move, start, with_result
from support.server import Server
from support.waiting import wait_until

SECRET = b"a result that no log line may hold " * 500


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 2 MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a file system requires root")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def events(server: Server) -> list[str]:
    return [event for line in server.log if (event := json.loads(line)["event"]) != "listening"]


def accepted(decisions: list[Decision]) -> set[str]:
    return {each.proposal_id for each in decisions if each.HasField("accept")}


def stored(server: Server) -> set[str]:
    return {id_ for (id_,) in rows(server.database, "SELECT id FROM state")}


class Load:
    """Clients that send proposals with results until stopped."""

    def __init__(self, client: Client, flow: str, clients: int = 3) -> None:
        self._flow = flow
        self._ended = threading.Event()
        self._pool = ThreadPoolExecutor(clients)
        self.refused = 0
        self._running = [self._pool.submit(self._propose, client.open()) for _ in range(clients)]

    def _propose(self, stream: Stream) -> list[Decision]:
        with contextlib.suppress(EndedError):
            while not self._ended.is_set():
                self._turn(stream)
        return list(stream.answered())

    def _turn(self, stream: Stream) -> None:
        starts = [start(self._flow) for _ in range(20)]
        stream.propose(*starts)
        begun = [stream.decision(each.id) for each in starts]
        ends = [
            move(each.run_id, with_result(COMPLETED, SECRET)) for each in begun if each.HasField("accept")
        ]
        stream.propose(*ends)
        self.refused += sum(stream.decision(each.id).HasField("error") for each in ends)
        self.refused += len(starts) - len(ends)

    def stop(self) -> list[Decision]:
        """Stop; return all decisions."""
        self._ended.set()
        decisions = [decision for each in self._running for decision in each.result()]
        self._pool.shutdown()
        return decisions


def test_a_full_disk_is_one_line_and_all_resumes_when_there_is_room(server: Server) -> None:
    with Client(server.address) as client, HealthWatch(server.address, ORCHESTRATOR) as watch:
        load = Load(client, create_flow(client).spec.id)
        watch.await_status(SERVING)
        with full_disk(server.pid):
            watch.await_status(NOT_SERVING)
            refused = load.refused
            wait_until(lambda: load.refused > refused + 5_000, "thousands of refusals")
        watch.await_status(SERVING)
        stream = client.open()
        assert stream.decide(start(create_flow(client).spec.id)).HasField("accept")
        decisions = load.stop()
        assert watch.seen == [SERVING, NOT_SERVING, SERVING]
    bad, good = events(server)
    assert "the store accepts no transactions" in bad
    assert str(server.database) in bad
    assert "disk" in bad
    assert "accepts transactions again" in good
    assert sum(map(len, server.log)) < 10_000
    assert SECRET[:30].decode() not in "".join(server.log)
    assert accepted(decisions) <= stored(server)
    assert history_gaps(server.database) == []


def test_an_unhealthy_store_heals_although_nobody_proposes(server: Server) -> None:
    with Client(server.address) as client, HealthWatch(server.address) as watch:
        flow = create_flow(client).spec.id
        with full_disk(server.pid):
            failure = client.fails("OpenSession", OpenSessionRequest())
            assert failure.reason == "ERROR_REASON_STORE_UNAVAILABLE"
            watch.await_status(NOT_SERVING)
        watch.await_status(SERVING)
        assert client.open().decide(start(flow)).HasField("accept")


@pytest.mark.parametrize("waits", [False, True], ids=["idle", "somebody waits"])
def test_sigterm_ends_a_server_on_a_full_disk(tmp_path: Path, *, waits: bool) -> None:
    environment = {"CLEARWAY_SHUTDOWN_GRACE_SECONDS": "2"}
    with Server(tmp_path / "server.db", environment=environment) as server, Client(server.address) as client:
        flow = create_flow(client).spec.id
        stream = client.open()
        if waits:
            tag = set_limit(client, 1)
            assert stream.decide(start(flow, tags=[tag])).HasField("accept")
            assert stream.decide(start(flow, tags=[tag])).wait.queued
        load = Load(client, flow)
        with full_disk(server.pid), HealthWatch(server.address) as watch:
            watch.await_status(NOT_SERVING)
            assert server.stop() == 0
        load.stop()
    assert events(server)[-1] == "stopped"


def test_a_session_outlives_a_full_disk_that_kept_it_from_its_keep_alives(tmp_path: Path) -> None:
    environment = {"CLEARWAY_LEASE_SECONDS": "2", "CLEARWAY_BROKEN_STREAM_GRACE_SECONDS": "1"}
    with Server(tmp_path / "server.db", environment=environment) as server, Client(server.address) as client:
        flow = create_flow(client).spec.id
        stream = client.open()
        run_id = stream.decide(start(flow)).run_id
        session = client.stub.OpenSession(OpenSessionRequest()).session_id
        keep = KeepAliveRequest(session_id=session)
        with full_disk(server.pid), HealthWatch(server.address) as watch:
            watch.await_status(NOT_SERVING)
            (last,) = rows(server.database, "SELECT max(expires) FROM session")
            wait_until(lambda: time.time() * 1e6 > last[0] + 1e6, "the end of all leases")
            stream.send_ping()
            assert client.fails("KeepAlive", keep).reason == "ERROR_REASON_STORE_UNAVAILABLE"
        with HealthWatch(server.address) as watch:
            watch.await_status(SERVING)
        client.stub.KeepAlive(keep)
        assert get_task(client, run_id).state.name == "Running"
        assert stream.decide(move(run_id, COMPLETED)).HasField("accept")


def test_a_disk_that_is_full_by_itself_refuses_what_it_cannot_keep(small_disk: Path) -> None:
    with Server(small_disk / "server.db") as server:
        with Client(server.address) as client, HealthWatch(server.address) as watch:
            load = Load(client, create_flow(client).spec.id)
            watch.await_status(NOT_SERVING)
            refused = load.refused
            wait_until(lambda: load.refused > refused + 1_000, "a thousand refusals")
            subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
            watch.await_status(SERVING)
            decisions = load.stop()
        assert accepted(decisions) <= stored(server)
        assert history_gaps(server.database) == []
        assert server.stop() == 0
    assert "database or disk is full; make room on its disk" in events(server)[0]
    assert sum(map(len, server.log)) < 20_000


def test_sigterm_ends_a_server_whose_database_another_program_keeps_locked(tmp_path: Path) -> None:
    environment = {"CLEARWAY_SHUTDOWN_GRACE_SECONDS": "1"}
    with Server(tmp_path / "server.db", environment=environment) as server, Client(server.address) as client:
        stream = client.open()
        proposal = start(create_flow(client).spec.id)
        with locked(server.database):
            stream.propose(proposal)
            stream.ping(1)
            assert server.stop() == 0
        assert stream.end().code == StatusCode.UNAVAILABLE
        assert not stream.decisions(proposal.id)
    assert proposal.id not in stored(server)
