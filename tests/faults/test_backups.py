"""Backups under load or killed midway: a restored database is consistent with what clients were sent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clearway.v1.concurrency_limit_pb2 import SetConcurrencyLimitRequest
from clearway.v1.proposal_pb2 import Decision
from clearway_service.backup.saving import save
from support.backups import digest_of, keep_result, result_file
from support.client import Client, Stream
from support.database import history_gaps, rows, slots_of_the_dead
from support.limits import get_limit
from support.proposals import COMPLETED, create_flow, get_task, move, names, start, task_states
from support.server import Server
from support.waiting import wait_until

CLEARWAY = str(Path(sys.executable).with_name("clearway"))
STATES = "SELECT id, run_id, ordinal, type, timestamp FROM state WHERE kind = 'task'"
CLIENTS = 4


def clearway(*arguments: str) -> str:
    done = subprocess.run([CLEARWAY, *arguments], capture_output=True, text=True, timeout=90, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


class Load:
    """Streams that start and complete runs, one after the other, until stopped.

    Attributes:
        told: All accepts received so far, in the order of each stream.
    """

    def __init__(self, client: Client, flow: str) -> None:
        self.told: list[Decision] = []
        self._ended = threading.Event()
        self._pool = ThreadPoolExecutor(CLIENTS)
        self._running = [self._pool.submit(self._work, client.open(), flow) for _ in range(CLIENTS)]

    def _work(self, stream: Stream, flow: str) -> None:
        while not self._ended.is_set():
            starts = [start(flow) for _ in range(10)]
            stream.propose(*starts)
            begun = [stream.decision(each.id) for each in starts]
            ends = [move(each.run_id, COMPLETED) for each in begun]
            stream.propose(*ends)
            self.told += begun + [stream.decision(each.id) for each in ends]

    def stop(self) -> None:
        """Stop, and wait until every decision is received."""
        self._ended.set()
        for each in self._running:
            each.result()
        self._pool.shutdown()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.address) as client:
        yield client


def test_a_backup_under_load_is_one_moment_of_what_clients_were_told(
    server: Server, client: Client, tmp_path: Path
) -> None:
    flow = create_flow(client).spec.id
    results = [os.urandom(10_000) for _ in range(5)]
    kept = [keep_result(client, flow, body) for body in results]
    # An embedded engine uses the same file meanwhile.
    arguments = [str(server.database), "30", "work", flow, "embedded", "2000"]
    with subprocess.Popen(
        [sys.executable, "-m", "support.embedded", *arguments],
        stdout=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
    ) as embedded:
        load = Load(client, flow)
        wait_until(lambda: len(load.told) > 1000, "a thousand decisions")
        before = list(load.told)
        archive, place = tmp_path / "some.tar", tmp_path / "new home" / "new.db"
        clearway("backup", str(archive), "--database", str(server.database))
        wait_until(lambda: len(load.told) > len(before) + 1000, "a thousand decisions more")
        load.stop()
        assert embedded.wait(60) == 0
    assert "and 5 results" in clearway("backup", "--verify", str(archive))
    clearway("restore", str(archive), "--database", str(place))

    restored, original = rows(place, STATES), rows(server.database, STATES)
    assert {each.proposal_id for each in before} <= {id_ for id_, *_ in restored}
    assert set(restored) < set(original)
    assert history_gaps(place) == slots_of_the_dead(place) == []
    # No missing state is older than a restored one.
    newest = max(timestamp for *_, timestamp in restored)
    assert all(timestamp >= newest for *_, timestamp in set(original) - set(restored))

    with Server(place) as again, Client(again.address) as reader:
        for decision in before[:: len(before) // 50]:
            history = task_states(reader, decision.run_id)
            assert [state.id for state in history if state.id == decision.proposal_id]
            assert history == task_states(client, decision.run_id)[: len(history)]
        for run_id, body in zip(kept, results, strict=True):
            (state,) = [each for each in task_states(reader, run_id) if each.data.location]
            assert state.data.location == f"service://{digest_of(body)}"
            assert result_file(place, digest_of(body)).read_bytes() == body


def test_backups_at_the_same_time_are_each_a_backup_and_one_name_is_given_once(
    server: Server, client: Client, tmp_path: Path
) -> None:
    load = Load(client, create_flow(client).spec.id)
    same = tmp_path / "same.tar"
    commands = [
        [CLEARWAY, "backup", str(path), "--database", str(server.database)]
        for path in (tmp_path / "own.tar", same, same, same)
    ]
    running = [subprocess.Popen(each, stderr=subprocess.PIPE, text=True) for each in commands]
    ended = [(process.communicate(timeout=90)[1], process.returncode) for process in running]
    load.stop()
    assert sorted(code for _, code in ended) == [0, 0, 1, 1]
    assert all("already exists" in told for told, code in ended if code)
    for path in (tmp_path / "own.tar", same):
        clearway("backup", "--verify", str(path))
    assert not list(tmp_path.glob("*.partial"))


def test_a_backup_that_is_killed_leaves_no_backup_and_an_intact_database(
    server: Server, client: Client, tmp_path: Path
) -> None:
    place = tmp_path / "backups"
    place.mkdir()
    archive = place / "some.tar"
    flow = create_flow(client).spec.id
    for number in range(5):
        keep_result(client, flow, os.urandom(4_000_000 + number))
    load = Load(client, flow)

    def killed() -> bool:
        """Kill a running backup; return False if it finished first."""
        command = [CLEARWAY, "backup", str(archive), "--database", str(server.database)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            wait_until(lambda: list(place.iterdir()) or process.poll() is not None, "a beginning")
            process.kill()
        archive.unlink(missing_ok=True)
        return process.returncode == -signal.SIGKILL

    for _ in range(5):
        wait_until(killed, "a kill")
    load.stop()
    left = list(place.iterdir())
    assert left
    assert all(path.name.startswith("some.tar.") and path.suffix == ".partial" for path in left)
    assert rows(server.database, "PRAGMA integrity_check") == [("ok",)]
    assert {each.proposal_id for each in load.told} <= {id_ for id_, *_ in rows(server.database, STATES)}
    clearway("backup", str(archive), "--database", str(server.database))
    clearway("backup", "--verify", str(archive))


def test_a_result_that_is_deleted_after_the_snapshot_is_listed(
    server: Server, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = b"soon gone"
    keep_result(client, create_flow(client).spec.id, body)
    from clearway_service.backup import saving  # noqa: PLC0415 - patched only here

    check = saving.check_copy

    def check_and_delete(path: Path) -> object:
        result_file(server.database, digest_of(body)).unlink()
        return check(path)

    monkeypatch.setattr(saving, "check_copy", check_and_delete)
    saved = save(server.database, tmp_path / "some.tar", with_results=True)
    assert saved.manifest.missing_results == [digest_of(body)]


def test_runs_of_a_restored_database_crash_although_their_process_lives_on_with_the_original(
    tmp_path: Path,
) -> None:
    original, place, archive = tmp_path / "server.db", tmp_path / "new.db", tmp_path / "some.tar"
    with Server(original) as server, Client(server.address) as client:
        flow = create_flow(client).spec.id
        client.stub.SetConcurrencyLimit(SetConcurrencyLimitRequest(tag="disk", limit=1))
        holder = subprocess.Popen(
            [sys.executable, "-m", "support.embedded", str(original), "30", "hold", flow, "disk", "1"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        )
        with holder:
            held = wait_until(lambda: get_limit(client, "disk").holders, "the holder")[0].task_run_id
            stream = client.open()
            waits = start(flow, tags=["disk"])
            assert stream.decide(waits).wait.queued
            clearway("backup", str(archive), "--database", str(original))
            clearway("restore", str(archive), "--database", str(place))
            assert {process for (process,) in rows(place, "SELECT process FROM session")} == {""}
            environment = {"CLEARWAY_LEASE_SECONDS": "1"}
            with Server(place, environment=environment) as again, Client(again.address) as other:
                wait_until(lambda: names(other, held) == ["Running", "Crashed"], "the crash")
                # The slot may go to the waiter first, whose session ends a moment later.
                open_sessions = "SELECT id FROM session WHERE NOT ended"
                wait_until(lambda: (stream.session_id,) not in rows(place, open_sessions), "its end")
                wait_until(lambda: not get_limit(other, "disk").holders, "a free slot")
                assert rows(place, "SELECT * FROM waiter") == []
                # The same proposal again, as from a client that switched to the restored service.
                assert other.open().decide(waits).HasField("accept")
            assert get_task(client, held).state.name == "Running"
            holder.kill()


def test_a_client_resumes_its_session_at_the_restored_service(
    server: Server, client: Client, tmp_path: Path
) -> None:
    stream = client.open()
    run_id = stream.decide(start(create_flow(client).spec.id)).run_id
    archive, place = tmp_path / "some.tar", tmp_path / "new.db"
    clearway("backup", str(archive), "--database", str(server.database))
    clearway("restore", str(archive), "--database", str(place))
    server.kill()
    with Server(place) as again, Client(again.address) as other:
        back = other.open(resume=stream.session_id)
        assert back.decide(move(run_id, COMPLETED)).HasField("accept")
