"""A server that dies and comes back while a flow runs."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from clearway import flow, get_client, task
from clearway._transport.current import disconnect
from clearway.exceptions import ServerUnavailable
from integration.sdk_proxy import Proxy
from integration.sdk_runs import SECONDS, history, last_flow_run, task_runs
from support.server import Server
from support.terminal import Terminal
from support.waiting import wait_until

PROGRAM = Path(__file__).with_name("sdk_waiting.py")


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


@pytest.fixture
def brief_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Run a server whose leases are short."""
    with Server(tmp_path / "brief.db", environment={"CLEARWAY_LEASE_SECONDS": "3"}) as running:
        monkeypatch.setenv("CLEARWAY_ADDRESS", running.address)
        yield running


def waiting(how: str, *, server: Server) -> tuple[subprocess.Popen[str], list[str]]:
    """Start a flow, and kill its server while its task runs; return it and what it says up to the loss."""
    process = subprocess.Popen(
        [sys.executable, PROGRAM, how], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    server.kill()
    process.send_signal(signal.SIGUSR1)  # its task ends, and has to say so
    return process, read_until(process, "lost the server")


def _is_final(flow_name: str) -> bool:
    return last_flow_run(flow_name).state.is_final()


def read_until(process: subprocess.Popen[str], text: str) -> list[str]:
    """Return the lines that a process writes to stderr, up to the first with a text."""
    assert process.stderr is not None
    lines: list[str] = []
    while not lines or text not in lines[-1]:
        lines.append(process.stderr.readline())
        assert lines[-1], "".join(lines)
    return lines


def test_a_loss_and_a_return_are_one_line_each(server: Server) -> None:
    process, lines = waiting("once", server=server)
    server.start()
    lines += read_until(process, "is back")
    out, rest = process.communicate(timeout=SECONDS)
    assert (process.returncode, out) == (0, "done\n")
    lines += rest.splitlines(keepends=True)
    about = [line for line in lines if server.address in line]
    assert len(about) == 2, about
    assert (
        re.search(
            rf"WARNING \| .* - lost the server at {server.address}: the connection was refused; "
            r"waiting for it for up to 60 s \(CLEARWAY_RECONNECT_TIMEOUT\)$",
            about[0],
        )
        or "it closed the connection" in about[0]
    )
    assert "up to 60 s (CLEARWAY_RECONNECT_TIMEOUT)" in about[0]
    assert re.search(rf"WARNING \| .* - the server at {server.address} is back after \d+\.\d s$", about[1])
    assert last_flow_run("once").state.name == "Completed"


def test_the_end_of_a_flow_whose_server_stays_away_names_the_wait_and_its_setting(
    brief_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEARWAY_RECONNECT_TIMEOUT", "1.5")
    process, lines = waiting("once", server=brief_server)
    _, rest = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    (last,) = [line for line in rest.splitlines() if line.startswith("clearway.exceptions.")]
    assert last.startswith("clearway.exceptions.ServerUnavailable: ")
    assert brief_server.address in last
    assert "up to 1.5 s (the setting CLEARWAY_RECONNECT_TIMEOUT)" in last
    assert "".join(lines).count("lost the server") == 1
    assert "/sdk/clearway/" not in rest

    brief_server.start()
    state = wait_until(
        lambda: (state := last_flow_run("once").state).is_final() and state, "the lease has run out", 60
    )
    assert state.name == "Crashed"
    assert "the server was away until" in state.message
    assert "did not come back" not in state.message


def test_what_waits_while_the_server_is_away_is_not_said_to_wait_for_slots(server: Server) -> None:
    with Terminal([sys.executable, str(PROGRAM), "slots"], 100) as terminal:
        terminal.wait_text("2 for a slot of 'narrow'")
        server.kill()
        lines = terminal.wait_text("2 for the server")
        assert not any("for a slot" in line for line in lines)
        terminal.wait_text(f"server   {server.address} away for ")
        assert any(
            "waited for up to 60 s (CLEARWAY_RECONNECT_TIMEOUT)" in line for line in terminal.screen.lines
        )
        server.start()
        terminal.wait_text("is back after")
        lines = terminal.wait_text("2 for a slot of 'narrow'")
        assert not any(f"server   {server.address}" in line for line in lines)
        terminal.send(signal.SIGUSR1)
        code, lines = terminal.end()
    assert code == 0
    assert sum(server.address in line for line in lines) == 2


def test_a_run_that_is_lost_for_an_outage_names_the_outage(
    brief_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Proxy(brief_server.address) as proxy:
        monkeypatch.setenv("CLEARWAY_ADDRESS", proxy.address)
        process = subprocess.Popen(
            [sys.executable, PROGRAM, "once"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        proxy.go_away()
        monkeypatch.setenv("CLEARWAY_ADDRESS", brief_server.address)
        wait_until(partial(_is_final, "once"), "the lease has run out", 60)
        proxy.come_back()
        lines = read_until(process, "the service has ended runs of this process")
        process.send_signal(signal.SIGUSR1)
        _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    last = errors.splitlines()[-1]
    assert last.startswith("clearway.exceptions.LostRun: ")
    assert re.search(r"the server, which could not be reached for \d+\.\d s, longer than their lease", last)
    assert "did not come back" not in "".join(lines) + errors


def test_a_connection_that_is_made_again_at_once_is_not_mentioned(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    @task
    def work() -> int:
        return 1

    with Proxy(server.address) as proxy:
        monkeypatch.setenv("CLEARWAY_ADDRESS", proxy.address)

        @flow
        def cut() -> int:
            done = work()
            proxy.cut()
            return done + work()

        assert cut() == 2
        disconnect()
    assert not [message for message in caplog.messages if proxy.address in message]
