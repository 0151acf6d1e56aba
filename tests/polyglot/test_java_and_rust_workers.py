"""The workers of ``examples/java`` and ``examples/rust``, processes of their own, against a real server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clearway.v1.server_info_pb2 import GetServerInfoRequest
from clearway.v1.state_pb2 import RUN_ERROR_KIND_APPLICATION, STATE_TYPE_FAILED
from integration.cli_process import answer
from integration.sdk_proxy import Proxy
from polyglot.compiled import JAVA, RUST, Worker
from polyglot.histories import history, holders, most_running, names, runs
from support.client import Client
from support.limits import get_limit, set_limit
from support.server import Server
from support.waiting import wait_until

# Whichever test comes first builds the worker.
pytestmark = pytest.mark.timeout(600)

VECTORS = Path(__file__).parents[1] / "conformance" / "cache_keys.json"


@pytest.fixture(params=[JAVA, RUST], ids=lambda worker: str(worker.language))
def worker(request: pytest.FixtureRequest) -> Worker:
    found: Worker = request.param
    return found


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.address) as client:
        yield client


def states(client: Client, tag: str) -> Counter[str]:
    return Counter(each.state.name for each in runs(client, tag))


def results(out: str) -> dict[str, tuple[str, Any]]:
    """Return what a worker printed: by run, the name of its last state and its result."""
    lines = [line.split(" ", 2) for line in out.splitlines() if line.startswith(("work-", "normalise-"))]
    return {name: (state, json.loads(result)) for name, state, result in lines}


def shown(server: Server, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        answer(*arguments, "-o", "json", CLEARWAY_ADDRESS=server.address)
    )
    return found


def in_python(server: Server, text: str) -> str:
    script = Path(__file__).with_name("python_normalise.py")
    environment = os.environ | {"CLEARWAY_ADDRESS": server.address}
    command = [sys.executable, str(script), text]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_its_tasks_run_within_a_limit_and_use_all_of_it(
    worker: Worker, server: Server, client: Client
) -> None:
    tag = set_limit(client, 3)
    done = worker.run("--address", server.address, "--tag", tag, "--tasks", "12", "--milliseconds", "50")
    assert (done.returncode, done.stderr) == (0, "")
    assert results(done.stdout)["work-11"] == ("Completed", {"task": 11, "attempt": 1})
    assert states(client, tag) == {"Completed": 12}
    assert most_running(client, tag) == 3
    assert holders(client, tag) == []


def test_a_failed_run_is_tried_again_as_told(worker: Worker, server: Server, client: Client) -> None:
    retrying = ("--fail-attempts", "2", "--retries", "2", "--retry-delay-ms", "150")
    done = worker.run("--address", server.address, "--tag", "again", "--tasks", "1", *retrying)
    assert (done.returncode, done.stderr) == (0, "")
    assert results(done.stdout)["work-0"] == ("Completed", {"task": 0, "attempt": 3})

    (task_run,) = runs(client, "again")
    expected = ["Running", "AwaitingRetry", "Retrying", "AwaitingRetry", "Retrying", "Completed"]
    assert names(client, task_run.spec.id) == expected
    told = history(client, task_run.spec.id)
    for before, after in [(1, 2), (3, 4)]:
        waited = told[after].create_time.ToMicroseconds() - told[before].create_time.ToMicroseconds()
        assert waited >= 150_000


def test_a_failure_is_told_in_a_form_that_all_languages_can_show(
    worker: Worker, server: Server, client: Client
) -> None:
    failing = ("--fail-attempts", "1", "--retries", "0")
    done = worker.run("--address", server.address, "--tag", "failing", "--tasks", "1", *failing)
    assert done.returncode == 1
    (task_run,) = runs(client, "failing")
    assert task_run.state.type == STATE_TYPE_FAILED
    error = task_run.state.data.error
    assert error.type in {"java.lang.IllegalStateException", "clearway_worker::worker::ToldToFail"}
    assert error.message == "attempt 1 was told to fail"
    assert error.kind == RUN_ERROR_KIND_APPLICATION
    reason = f"work-0 failed: {error.type}: attempt 1 was told to fail"
    assert done.stderr == f"1 of 1 runs did not end well: {reason}\n"
    assert worker.source in error.stack_trace.splitlines()[-1]

    (flow_run,) = shown(server, "flow-run", "ls")
    assert flow_run["state"]["type"] == "FAILED"
    inspected = answer("task-run", "inspect", task_run.spec.id, CLEARWAY_ADDRESS=server.address)
    assert "attempt 1 was told to fail" in inspected


# More than 512 bytes, below which nobody compresses a result.
LONG = "  Löng " * 200


@pytest.mark.parametrize("text", ["  Grüße 😀 ", LONG], ids=["short", "long"])
def test_what_python_has_cached_is_read_and_not_computed(worker: Worker, server: Server, text: str) -> None:
    expected = text.strip().lower()
    assert in_python(server, text) == f"Completed {expected}"
    done = worker.run("--address", server.address, "--tasks", "0", "--normalise", text)
    assert (done.returncode, done.stderr) == (0, "")
    assert results(done.stdout) == {"normalise-0": ("Cached", expected)}


def test_what_it_has_cached_is_read_by_python(worker: Worker, server: Server) -> None:
    done = worker.run("--address", server.address, "--tasks", "0", "--normalise", "  Grüße 😀 ")
    assert results(done.stdout) == {"normalise-0": ("Completed", "grüße 😀")}
    assert in_python(server, "  Grüße 😀 ") == "Cached grüße 😀"


def test_cache_keys_are_those_of_all_languages(worker: Worker) -> None:
    vectors = json.loads(VECTORS.read_text(encoding="utf-8"))["vectors"]
    for each in vectors:
        done = worker.run(
            "--key-of", json.dumps({"task_key": each["task_key"], "arguments": each["arguments"]})
        )
        assert done.stdout == f"{each['canonical']}\n{each['key']}\n", each["name"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [('{"x": 1.0}', "1.0 has no fraction"), ('{"$x": 1}', "keys that begin with $")],
)
def test_what_languages_may_not_agree_on_makes_no_key(worker: Worker, arguments: str, complaint: str) -> None:
    done = worker.run("--key-of", f'{{"task_key": "k", "arguments": {arguments}}}')
    assert done.returncode != 0
    assert complaint in done.stderr
    assert done.stdout == ""


def test_its_runs_are_shown_beside_those_of_python(worker: Worker, server: Server) -> None:
    worker.run("--address", server.address, "--flow", "from-afar", "--tasks", "2")
    in_python(server, "text")
    flow_runs = {each["flow_name"]: each for each in shown(server, "flow-run", "ls")}
    assert set(flow_runs) == {"from-afar", "normalising"}
    assert flow_runs["from-afar"]["state"]["type"] == "COMPLETED"
    task_runs = shown(server, "task-run", "ls", "--flow-run", str(flow_runs["from-afar"]["id"]))
    assert sorted(str(each["name"]) for each in task_runs) == ["work-0", "work-1"]


def test_a_cut_connection_loses_no_run_and_runs_none_twice(
    worker: Worker, server: Server, client: Client
) -> None:
    tag = set_limit(client, 2)
    arguments = ("--tag", tag, "--tasks", "20", "--milliseconds", "150")
    with Proxy(server.address) as proxy, worker.started("--address", proxy.address, *arguments) as process:
        for ended in (2, 6):
            wait_until(lambda ended=ended: states(client, tag)["Completed"] >= ended, "the runs")
            proxy.cut()
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert out.splitlines()[-1] == "20 ended well, 0 did not; resumed 2 times"
    assert {each["attempt"] for _, each in results(out).values()} == {1}
    assert states(client, tag) == {"Completed": 20}
    assert all(each.run_count == 1 for each in runs(client, tag))
    assert most_running(client, tag) == 2


def test_a_run_longer_than_the_lease_keeps_it(worker: Worker, tmp_path: Path) -> None:
    environment = {"CLEARWAY_LEASE_SECONDS": "1"}
    with Server(tmp_path / "leases.db", environment=environment) as server:
        done = worker.run("--address", server.address, "--tasks", "1", "--milliseconds", "3000")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_worker_that_lost_its_session_stops_and_says_so(worker: Worker, tmp_path: Path) -> None:
    environment = {"CLEARWAY_LEASE_SECONDS": "1"}
    arguments = ("--tag", "lost", "--tasks", "1", "--milliseconds", "60000")
    with (
        Server(tmp_path / "lost.db", environment=environment) as server,
        Client(server.address) as client,
        Proxy(server.address) as proxy,
        worker.started("--address", proxy.address, *arguments) as process,
    ):
        wait_until(lambda: states(client, "lost")["Running"] == 1, "the run")
        proxy.go_away()
        wait_until(lambda: states(client, "lost")["Crashed"] == 1, "the crash")
        proxy.come_back()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.startswith("the session has expired, so its runs are Crashed: ")
    assert len(err.splitlines()) == 1


def test_a_killed_worker_has_its_runs_crashed_and_its_slots_handed_on(worker: Worker, tmp_path: Path) -> None:
    environment = {"CLEARWAY_BROKEN_STREAM_GRACE_SECONDS": "0.5"}
    with Server(tmp_path / "killed.db", environment=environment) as server, Client(server.address) as client:
        tag = set_limit(client, 1)
        arguments = ("--address", server.address, "--tag", tag, "--tasks", "1")
        with worker.started(*arguments, "--milliseconds", "60000") as doomed:
            held = wait_until(lambda: holders(client, tag), "the slot")
            with worker.started(*arguments) as waiting:
                wait_until(lambda: get_limit(client, tag).waiting_count == 1, "the wait")
                doomed.kill()
                _, err = waiting.communicate(timeout=60)
        assert (waiting.returncode, err) == (0, "")
        by_id = {each.spec.id: each for each in runs(client, tag)}
        assert by_id.pop(held[0]).state.name == "Crashed"
        assert [each.state.name for each in by_id.values()] == ["Completed"]


def test_an_interrupt_cancels_what_runs_and_withdraws_what_waits(
    worker: Worker, server: Server, client: Client
) -> None:
    tag = set_limit(client, 1)
    arguments = ("--address", server.address, "--tag", tag, "--tasks", "2", "--milliseconds", "60000")
    with worker.started(*arguments) as process:
        wait_until(lambda: get_limit(client, tag).waiting_count == 1, "the wait")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    told = states(client, tag)
    # The one that waited may be given the other's slot before its withdrawal is heard: it is then cancelled.
    assert told in ({"Cancelled": 1, "Pending": 1}, {"Cancelled": 2})
    limit = get_limit(client, tag)
    assert (limit.taken_count, limit.waiting_count) == (0, 0)
    (flow_run,) = shown(server, "flow-run", "ls")
    assert flow_run["state"]["type"] == "CANCELLED"


def test_an_interrupt_ends_the_rust_worker_also_where_the_server_has_gone(
    server: Server, client: Client
) -> None:
    arguments = ("--tag", "gone", "--tasks", "1", "--milliseconds", "60000")
    with Proxy(server.address) as proxy, RUST.started("--address", proxy.address, *arguments) as process:
        wait_until(lambda: states(client, "gone")["Running"] == 1, "the run")
        proxy.go_away()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=45)
    assert process.returncode == 130
    assert err == "interrupted; the server is not there to be told, and crashes the runs later\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "--address is missing; it must be HOST:PORT"),
        (("--address", "here"), "--address is 'here'; it must be HOST:PORT"),
        (("--address", "h:1", "--tasks", "many"), "--tasks is 'many'; it must be a whole number"),
        (("--address", "h:1", "--wrong"), "option '--wrong'"),
        (("--key-of", "[]"), "--key-of needs a JSON object"),
    ],
)
def test_wrong_arguments_are_told_with_the_usage(
    worker: Worker, arguments: tuple[str, ...], complaint: str
) -> None:
    done = worker.run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr.splitlines()[0]
    assert "--address HOST:PORT [options]" in done.stderr


def test_a_server_that_is_not_there_is_said_to_be(worker: Worker) -> None:
    done = worker.run("--address", "127.0.0.1:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("no Clearway server answers at 127.0.0.1:1: ")
    assert len(done.stderr.splitlines()) == 1


def test_large_results_go_in_messages_that_the_server_takes(
    worker: Worker, server: Server, client: Client
) -> None:
    info = client.stub.GetServerInfo(GetServerInfoRequest())
    tasks = 2 * info.max_message_bytes // 60_000
    arguments = ("--tasks", str(tasks), "--tag", "large", "--milliseconds", "100", "--result-bytes", "60000")
    done = worker.run("--address", server.address, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert states(client, "large") == {"Completed": tasks}
