"""The worker of ``examples/typescript``, in a process of its own, against a real server."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clearway.v1.server_info_pb2 import GetServerInfoRequest
from clearway.v1.state_pb2 import RUN_ERROR_KIND_APPLICATION, STATE_TYPE_FAILED
from clearway.v1.task_run_pb2 import TaskRun
from integration.cli_process import answer
from integration.sdk_proxy import Proxy
from polyglot.histories import history, holders, most_running, names, runs
from polyglot.typescript import PACKAGE, build, run, started, transpile
from support.client import Client
from support.limits import get_limit, set_limit
from support.server import Server
from support.waiting import wait_until

# Whichever test comes first builds the package.
pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.address) as client:
        yield client


def states(client: Client, tag: str) -> Counter[str]:
    return Counter(each.state.name for each in runs(client, tag))


def test_its_tasks_run_within_a_limit_and_use_all_of_it(server: Server, client: Client) -> None:
    tag = set_limit(client, 3)
    done = run("worker", "--address", server.address, "--tag", tag, "--tasks", "12", "--milliseconds", "30")
    assert (done.returncode, done.stderr) == (0, "")
    assert 'work-11 Completed {"task":11,"attempt":1}' in done.stdout.splitlines()
    assert states(client, tag) == {"Completed": 12}
    assert most_running(client, tag) == 3
    assert holders(client, tag) == []


def test_a_failed_run_is_tried_again_as_told(server: Server, client: Client) -> None:
    retrying = ("--fail-attempts", "2", "--retries", "2", "--retry-delay-ms", "150")
    done = run("worker", "--address", server.address, "--tag", "again", "--tasks", "1", *retrying)
    assert (done.returncode, done.stderr) == (0, "")
    assert 'work-0 Completed {"task":0,"attempt":3}' in done.stdout.splitlines()

    (task_run,) = runs(client, "again")
    expected = ["Running", "AwaitingRetry", "Retrying", "AwaitingRetry", "Retrying", "Completed"]
    assert names(client, task_run.spec.id) == expected
    for before, after in [(1, 2), (3, 4)]:
        states = history(client, task_run.spec.id)
        waited = states[after].create_time.ToMicroseconds() - states[before].create_time.ToMicroseconds()
        assert waited >= 150_000


def test_a_failure_is_told_in_a_form_that_all_languages_can_show(server: Server, client: Client) -> None:
    failing = ("--fail-attempts", "1", "--retries", "0")
    done = run("worker", "--address", server.address, "--tag", "failing", "--tasks", "1", *failing)
    assert done.returncode == 1
    reason = "work-0 failed: Error: attempt 1 was told to fail"
    assert done.stderr == f"1 of 1 runs did not end well: {reason}\n"

    (task_run,) = runs(client, "failing")
    assert task_run.state.type == STATE_TYPE_FAILED
    error = task_run.state.data.error
    assert (error.type, error.message) == ("Error", "attempt 1 was told to fail")
    assert error.kind == RUN_ERROR_KIND_APPLICATION
    assert "worker.js" in error.stack_trace.splitlines()[-1]

    (flow_run,) = shown(server, "flow-run", "ls")
    assert flow_run["state"]["type"] == "FAILED"
    assert "attempt 1 was told to fail" in answer(
        "task-run", "inspect", task_run.spec.id, CLEARWAY_ADDRESS=server.address
    )


def shown(server: Server, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        answer(*arguments, "-o", "json", CLEARWAY_ADDRESS=server.address)
    )
    return found


def in_python(server: Server, text: str) -> str:
    script = Path(__file__).with_name("python_normalise.py")
    environment = os.environ | {"CLEARWAY_ADDRESS": server.address}
    done = subprocess.run(
        [sys.executable, str(script), text], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


# More than 512 bytes, below which nobody compresses a result.
LONG = "  Löng " * 200


@pytest.mark.parametrize("text", ["  Grüße 😀 ", LONG], ids=["short", "long"])
def test_what_python_has_cached_is_read_and_not_computed(server: Server, text: str) -> None:
    expected = text.strip().lower()
    assert in_python(server, text) == f"Completed {expected}"
    done = run("worker", "--address", server.address, "--tasks", "0", "--normalise", text)
    assert f"normalise-0 Cached {json.dumps(expected, ensure_ascii=False)}" in done.stdout.splitlines()
    assert done.returncode == 0


def test_what_it_has_cached_is_read_by_python(server: Server) -> None:
    done = run("worker", "--address", server.address, "--tasks", "0", "--normalise", "  Grüße 😀 ")
    assert 'normalise-0 Completed "grüße 😀"' in done.stdout.splitlines()
    assert in_python(server, "  Grüße 😀 ") == "Cached grüße 😀"


def test_its_runs_are_shown_beside_those_of_python(server: Server) -> None:
    run("worker", "--address", server.address, "--flow", "from-typescript", "--tasks", "2")
    in_python(server, "text")
    flow_runs = {each["flow_name"]: each for each in shown(server, "flow-run", "ls")}
    assert set(flow_runs) == {"from-typescript", "normalising"}
    mine = flow_runs["from-typescript"]
    task_runs = shown(server, "task-run", "ls", "--flow-run", str(mine["id"]))
    assert sorted(str(each["name"]) for each in task_runs) == ["work-0", "work-1"]


def test_a_cut_connection_loses_no_run_and_runs_none_twice(server: Server, client: Client) -> None:
    tag = set_limit(client, 2)
    with (
        Proxy(server.address) as proxy,
        started(
            "worker", "--address", proxy.address, "--tag", tag, "--tasks", "4", "--milliseconds", "2000"
        ) as worker,
    ):
        wait_until(lambda: states(client, tag)["Running"] > 0, "the first runs")
        proxy.cut()
        wait_until(lambda: states(client, tag)["Completed"] > 0, "their end")
        proxy.cut()
        out, err = worker.communicate(timeout=60)
    assert (worker.returncode, err) == (0, "")
    # Once, where a slow machine's second cut came too late.
    assert re.fullmatch("4 ended well, 0 did not; resumed [12] times", out.splitlines()[-1])
    assert {tuple(names(client, each.spec.id)) for each in runs(client, tag)} <= {
        ("Running", "Completed"),
        ("Pending", "Running", "Completed"),
    }
    assert most_running(client, tag) == 2


def test_the_lease_is_renewed_while_its_tasks_run(tmp_path: Path) -> None:
    environment = {"CLEARWAY_LEASE_SECONDS": "3"}
    with Server(tmp_path / "leases.db", environment=environment) as server:
        done = run("worker", "--address", server.address, "--tasks", "1", "--milliseconds", "6000")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_worker_that_lost_its_session_stops_and_says_so(tmp_path: Path) -> None:
    environment = {"CLEARWAY_LEASE_SECONDS": "2"}
    with (
        Server(tmp_path / "lost.db", environment=environment) as server,
        Client(server.address) as client,
        Proxy(server.address) as proxy,
        started(
            "worker", "--address", proxy.address, "--tag", "lost", "--tasks", "1", "--milliseconds", "60000"
        ) as worker,
    ):
        wait_until(lambda: states(client, "lost")["Running"] == 1, "the run")
        proxy.go_away()
        wait_until(lambda: states(client, "lost")["Crashed"] == 1, "the crash")
        proxy.come_back()
        _, err = worker.communicate(timeout=60)
    assert_session_lost(worker.returncode, err)


def assert_session_lost(code: int, err: str) -> None:
    assert code == 1
    assert err.startswith("the session has expired, so its runs are Crashed: ")
    assert len(err.splitlines()) == 1


class StrandingProxy(Proxy):
    """A proxy that can let nothing more through on the connections that there are, while new ones work."""

    def strand(self) -> None:
        old, self._flowing = self._flowing, threading.Event()
        self._flowing.set()
        old.clear()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        flowing = self._flowing
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                flowing.wait()
                sink.sendall(data)


def test_a_connection_that_has_gone_silent_is_left(tmp_path: Path) -> None:
    environment = {"CLEARWAY_LEASE_SECONDS": "2"}
    with (
        Server(tmp_path / "silent.db", environment=environment) as server,
        Client(server.address) as client,
        StrandingProxy(server.address) as proxy,
        started(
            "worker", "--address", proxy.address, "--tag", "silent", "--tasks", "1", "--milliseconds", "60000"
        ) as worker,
    ):
        wait_until(lambda: states(client, "silent")["Running"] == 1, "the run")
        proxy.strand()
        _, err = worker.communicate(timeout=60)
        assert proxy.connections == 2
    assert_session_lost(worker.returncode, err)


def test_a_killed_worker_has_its_runs_crashed_and_its_slots_handed_on(tmp_path: Path) -> None:
    environment = {"CLEARWAY_BROKEN_STREAM_GRACE_SECONDS": "0.5"}
    with Server(tmp_path / "killed.db", environment=environment) as server, Client(server.address) as client:
        tag = set_limit(client, 1)
        arguments = ("worker", "--address", server.address, "--tag", tag, "--tasks", "1")
        with started(*arguments, "--milliseconds", "60000") as doomed:
            held = wait_until(lambda: holders(client, tag), "the slot")
            with started(*arguments) as waiting:
                wait_until(lambda: get_limit(client, tag).waiting_count == 1, "the wait")
                doomed.kill()
                _, err = waiting.communicate(timeout=60)
        assert (waiting.returncode, err) == (0, "")
        by_id: dict[str, TaskRun] = {each.spec.id: each for each in runs(client, tag)}
        assert by_id.pop(held[0]).state.name == "Crashed"
        assert [each.state.name for each in by_id.values()] == ["Completed"]


def test_an_interrupt_cancels_what_runs_and_withdraws_what_waits(server: Server, client: Client) -> None:
    tag = set_limit(client, 1)
    arguments = ("--address", server.address, "--tag", tag, "--tasks", "2", "--milliseconds", "60000")
    with started("worker", *arguments) as worker:
        wait_until(lambda: get_limit(client, tag).waiting_count == 1, "the wait")
        worker.send_signal(signal.SIGINT)
        worker.communicate(timeout=60)
    assert worker.returncode == 130
    assert states(client, tag) == {"Cancelled": 1, "Pending": 1}
    limit = get_limit(client, tag)
    assert (limit.taken_count, limit.waiting_count) == (0, 0)
    (flow_run,) = shown(server, "flow-run", "ls")
    assert flow_run["state"]["type"] == "CANCELLED"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "--address is missing; it must be HOST:PORT"),
        (("--address", "here"), "--address is 'here'; it must be HOST:PORT"),
        (("--address", "h:1", "--tasks", "-1"), "--tasks"),
        (("--address", "h:1", "--tasks", "many"), "--tasks is 'many'; it must be a whole number"),
        (("--address", "h:1", "--wrong"), "Unknown option '--wrong'"),
    ],
)
def test_wrong_arguments_are_told_with_the_usage(arguments: tuple[str, ...], complaint: str) -> None:
    done = run("worker", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr.splitlines()[0]
    assert "usage: worker --address HOST:PORT" in done.stderr


def test_a_server_that_is_not_there_is_said_to_be() -> None:
    done = run("worker", "--address", "127.0.0.1:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("no Clearway server answers at 127.0.0.1:1: ")


def test_the_program_of_the_documentation_does_what_it_says(server: Server) -> None:
    document = (PACKAGE.parents[1] / "docs" / "other-languages.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"^```ts\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)
    program = transpile(source.replace("localhost:4200", server.address))
    path = build() / f"documented_{os.getpid()}.js"
    path.write_text(program, encoding="utf-8")
    try:
        assert [run(path.stem).stdout for _ in range(2)] == ["Completed: hello\n", "Cached: hello\n"]
    finally:
        path.unlink()
    nightly = shown(server, "flow-run", "ls")
    assert [(each["flow_name"], each["state"]["type"]) for each in nightly] == [("nightly", "COMPLETED")] * 2


def test_a_server_that_is_killed_and_comes_back_finds_its_worker_again(server: Server) -> None:
    arguments = ("--address", server.address, "--tag", "kept", "--tasks", "3", "--milliseconds", "4000")
    with started("worker", *arguments) as worker:
        with Client(server.address) as client:
            wait_until(lambda: states(client, "kept")["Running"] == 3, "the runs")
        server.kill()
        server.start()
        out, err = worker.communicate(timeout=60)
    assert (worker.returncode, err) == (0, "")
    assert out.splitlines()[-1] == "3 ended well, 0 did not; resumed 1 times"
    with Client(server.address) as client:
        assert states(client, "kept") == {"Completed": 3}


def test_large_results_go_in_messages_that_the_server_takes(server: Server, client: Client) -> None:
    info = client.stub.GetServerInfo(GetServerInfoRequest())
    tasks = 2 * info.max_message_bytes // 60_000
    done = run(
        "worker", "--address", server.address, "--tasks", str(tasks), "--tag", "large",
        "--milliseconds", "100", "--result-bytes", "60000",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert states(client, "large") == {"Completed": tasks}
