"""A server that dies and comes back while a flow runs."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clearway import flow, get_client, task
from clearway.exceptions import ServerUnavailable
from integration.sdk_runs import SECONDS, history, last_flow_run, task_runs
from support.server import Server


@pytest.fixture(autouse=True)
def _address(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEARWAY_ADDRESS", server.address)


@pytest.mark.parametrize("submitted", [False, True])
def test_a_flow_outlives_its_server(server: Server, submitted: bool) -> None:
    started, go = threading.Event(), threading.Event()

    @task
    def before() -> int:
        return 1

    @task
    def work(x: int) -> int:
        started.set()
        go.wait(SECONDS)
        return x + 1

    @flow
    def surviving() -> int:
        first = before()
        second = work.submit(first).result() if submitted else work(first)
        return second + before()

    with ThreadPoolExecutor() as pool:
        running = pool.submit(surviving)
        assert started.wait(SECONDS)
        server.kill()
        go.set()
        server.start()
        assert running.result(SECONDS) == 3
    run = last_flow_run("surviving")
    assert (run.state.name, run.run_count) == ("Completed", 1)
    runs = task_runs("surviving")
    assert [run.state.name for run in runs.values()] == ["Completed"] * 3
    assert history(runs["work-0"].id) == ["Running", "Completed"]


def test_what_was_proposed_while_the_server_was_away_is_decided_once(server: Server) -> None:
    lost, go = threading.Event(), threading.Event()
    calls: list[int] = []

    @task
    def work(x: int) -> int:
        calls.append(x)
        return x

    @flow
    def mapping() -> list[int]:
        first = work.map(range(50))
        [future.wait() for future in first]
        lost.set()
        go.wait(SECONDS)
        return [future.result() for future in first + work.map(range(50, 100))]

    with ThreadPoolExecutor() as pool:
        running = pool.submit(mapping)
        assert lost.wait(SECONDS)
        server.kill()
        go.set()
        server.start()
        assert running.result(SECONDS) == list(range(100))
    assert sorted(calls) == list(range(100))
    runs = task_runs("mapping")
    assert {run.state.name for run in runs.values()} == {"Completed"}
    assert {run.run_count for run in runs.values()} == {1}


def test_a_server_that_stays_away_fails_the_flow_with_a_clear_error(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEARWAY_RECONNECT_TIMEOUT", "0.5")

    @task
    def work() -> None:
        server.kill()

    @flow
    def lost() -> None:
        work()
        work()

    with pytest.raises(ServerUnavailable, match=server.address):
        lost()


def test_a_server_that_was_never_there_is_named(server: Server, tmp_path: Path) -> None:
    del tmp_path
    server.kill()

    @flow
    def lonely() -> None: ...

    with pytest.raises(ServerUnavailable, match=rf"{server.address}.*CLEARWAY_ADDRESS"):
        lonely()
    with pytest.raises(ServerUnavailable, match="CLEARWAY_ADDRESS"), get_client() as client:
        client.read_flow_runs()
