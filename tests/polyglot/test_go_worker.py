"""The worker of ``examples/go``, in a process of its own, against a real server.

Where a test says how long a run lasts, the file that is read is a named pipe, to which nobody wrote yet.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from clearway.v1.state_pb2 import RUN_ERROR_KIND_APPLICATION, STATE_TYPE_FAILED
from integration.cli_process import answer
from integration.sdk_proxy import Proxy
from polyglot.golang import MODULE, build, run, started
from polyglot.histories import history, holders, most_running, names, runs
from support.client import Client
from support.limits import get_limit, set_limit
from support.server import Server
from support.waiting import wait_until


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.address) as client:
        yield client


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe.txt"
    os.mkfifo(path)
    return path


def texts(folder: Path, count: int) -> list[str]:
    for number in range(count):
        (folder / f"{number}.txt").write_text("word " * number)
    return [str(folder / f"{number}.txt") for number in range(count)]


def states(client: Client, tag: str) -> Counter[str]:
    return Counter(each.state.name for each in runs(client, tag))


def worker(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run("worker", "--address", server.address, *arguments)


def test_the_modules_own_tests_pass() -> None:
    build()
    done = subprocess.run(["go", "test", "./..."], cwd=MODULE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_tasks_run_within_a_limit_and_use_all_of_it(
    server: Server, client: Client, tmp_path: Path
) -> None:
    tag = set_limit(client, 2)
    done = worker(server, "--tag", tag, "--pause", "30ms", *texts(tmp_path, 8))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"7 {tmp_path / '7.txt'}" in done.stdout.splitlines()
    assert states(client, tag) == {"Completed": 8}
    assert most_running(client, tag) == 2
    assert holders(client, tag) == []


def test_a_run_that_failed_is_tried_again_as_told(server: Server, client: Client, tmp_path: Path) -> None:
    late = tmp_path / "late.txt"
    arguments = ("--address", server.address, "--tag", "late", "--retries", "1000", "--retry-delay", "150ms")
    with started("worker", *arguments, str(late)) as process:
        wait_until(lambda: states(client, "late")["AwaitingRetry"], "the retry")
        (tmp_path / "part").write_text("better late than never")
        (tmp_path / "part").rename(late)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert f"4 {late}" in out.splitlines()
    (task_run,) = runs(client, "late")
    past = history(client, task_run.spec.id)
    assert [state.name for state in past[:3]] == ["Running", "AwaitingRetry", "Retrying"]
    assert past[-1].name == "Completed"
    assert past[2].create_time.ToMicroseconds() - past[1].create_time.ToMicroseconds() >= 150_000


def test_a_failure_is_told_in_a_form_that_all_languages_can_show(server: Server, client: Client) -> None:
    done = worker(server, "--tag", "failing", "--retries", "0", "/nowhere/at.all")
    assert done.returncode == 1
    assert "open /nowhere/at.all: no such file or directory" in done.stderr
    (task_run,) = runs(client, "failing")
    assert task_run.state.type == STATE_TYPE_FAILED
    error = task_run.state.data.error
    assert (error.type, error.message) == ("fs.PathError", "open /nowhere/at.all: no such file or directory")
    assert error.kind == RUN_ERROR_KIND_APPLICATION
    assert (error.cause.type, error.cause.message) == ("syscall.Errno", "no such file or directory")
    shown = answer("task-run", "inspect", task_run.spec.id, CLEARWAY_ADDRESS=server.address)
    assert "no such file or directory" in shown


def in_python(server: Server, text: str) -> str:
    script = Path(__file__).with_name("python_word_count.py")
    environment = os.environ | {"CLEARWAY_ADDRESS": server.address}
    done = subprocess.run(
        [sys.executable, str(script), text], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def counted(client: Client) -> list[str]:
    """Return the names of the last states of all runs that counted, the newest first."""
    listed = json.loads(answer("task-run", "ls", "--name", "word_count", "-o", "json"))
    return [names(client, each["id"])[-1] for each in listed]


@pytest.mark.parametrize("python_first", [True, False], ids=["of Python by Go", "of Go by Python"])
def test_what_one_language_has_cached_is_read_by_the_other(
    server: Server, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, python_first: bool
) -> None:
    monkeypatch.setenv("CLEARWAY_ADDRESS", server.address)
    text = 'Grüße an alle 😀 \\ "5" <&>'
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    if python_first:
        assert in_python(server, text) == "Completed 7"
    done = worker(server, str(tmp_path / "text.txt"))
    assert f"7 {tmp_path / 'text.txt'}" in done.stdout.splitlines()
    if not python_first:
        assert in_python(server, text) == "Cached 7"
    assert counted(client) == ["Cached", "Completed"]


def test_its_runs_are_shown_beside_those_of_python(server: Server, tmp_path: Path) -> None:
    assert worker(server, "--flow", "from-go", *texts(tmp_path, 2)).returncode == 0
    in_python(server, "text")
    address = {"CLEARWAY_ADDRESS": server.address}
    flow_runs = {
        each["flow_name"]: each for each in json.loads(answer("flow-run", "ls", "-o", "json", **address))
    }
    assert set(flow_runs) == {"from-go", "counting"}
    mine = ("--flow-run", flow_runs["from-go"]["id"])
    task_runs = json.loads(answer("task-run", "ls", *mine, "-o", "json", **address))
    assert sorted(each["name"] for each in task_runs) == ["read-0", "read-1", "word_count-0", "word_count-1"]


def test_after_a_cut_connection_the_session_is_resumed_and_what_was_undecided_is_sent_again(
    server: Server, client: Client, pipe: Path
) -> None:
    tag = set_limit(client, 1)
    with (
        Proxy(server.address) as proxy,
        started("worker", "--address", proxy.address, "--tag", tag, str(pipe), str(pipe)) as process,
    ):
        wait_until(lambda: get_limit(client, tag).waiting_count == 1, "the wait")
        proxy.hold()
        pipe.write_text("three words here")
        # One run's end is proposed where nothing comes through, and the other's beginning has no answer yet.
        proxy.cut()
        proxy.let_go()
        wait_until(lambda: states(client, tag)["Completed"] == 1, "the end of the first")
        pipe.write_text("three words here")
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out.splitlines().count(f"3 {pipe}") == 2
    assert re.search("resumed the session, [12] proposals are sent again", err)
    assert proxy.connections > 1
    pasts = sorted(names(client, each.spec.id) for each in runs(client, tag))
    assert pasts == [["Pending", "Running", "Completed"], ["Running", "Completed"]]


def test_the_lease_is_renewed_while_its_tasks_run(tmp_path: Path) -> None:
    with Server(tmp_path / "leases.db", environment={"CLEARWAY_LEASE_SECONDS": "1"}) as server:
        done = worker(server, "--pause", "3s", *texts(tmp_path, 1))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_worker_that_lost_its_session_stops_the_code_and_says_so(tmp_path: Path, pipe: Path) -> None:
    with (
        Server(tmp_path / "lost.db", environment={"CLEARWAY_LEASE_SECONDS": "1"}) as server,
        Client(server.address) as client,
        Proxy(server.address) as proxy,
        started("worker", "--address", proxy.address, "--tag", "lost", str(pipe)) as process,
    ):
        wait_until(lambda: states(client, "lost")["Running"], "the run")
        proxy.go_away()
        wait_until(lambda: states(client, "lost")["Crashed"], "the crash")
        proxy.come_back()
        _, err = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "clearway: the session has expired" in err.splitlines()[-1]
        (task_run,) = runs(client, "lost")
        assert names(client, task_run.spec.id) == ["Running", "Crashed"]


def test_a_killed_worker_has_its_runs_crashed_and_its_slots_handed_on(tmp_path: Path, pipe: Path) -> None:
    environment = {"CLEARWAY_BROKEN_STREAM_GRACE_SECONDS": "0.5"}
    with Server(tmp_path / "killed.db", environment=environment) as server, Client(server.address) as client:
        tag = set_limit(client, 1)
        arguments = ("--address", server.address, "--tag", tag)
        with started("worker", *arguments, str(pipe)) as doomed:
            held = wait_until(lambda: holders(client, tag), "the slot")
            with started("worker", *arguments, *texts(tmp_path, 1)) as waiting:
                wait_until(lambda: get_limit(client, tag).waiting_count == 1, "the wait")
                doomed.kill()
                _, err = waiting.communicate(timeout=60)
        assert (waiting.returncode, err) == (0, "")
        by_id = {each.spec.id: each.state.name for each in runs(client, tag)}
        assert by_id.pop(held[0]) == "Crashed"
        assert list(by_id.values()) == ["Completed"]


def test_an_interrupt_crashes_what_runs_and_withdraws_what_waits(
    server: Server, client: Client, pipe: Path
) -> None:
    tag = set_limit(client, 1)
    with started("worker", "--address", server.address, "--tag", tag, str(pipe), str(pipe)) as process:
        wait_until(lambda: get_limit(client, tag).waiting_count == 1, "the wait")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 1
    # The slot may have been given to the other before its withdrawal arrived; then it was given back.
    assert states(client, tag) in ({"Crashed": 1, "Pending": 1}, {"Crashed": 1, "Cancelled": 1})
    limit = get_limit(client, tag)
    assert (limit.taken_count, limit.waiting_count) == (0, 0)


def test_what_is_wrong_is_said() -> None:
    done = run("worker")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: worker [options] FILE...")
    done = run("worker", "--address", "127.0.0.1:1", "--connect-timeout", "300ms", "file")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].count("connection refused") == 1
    assert "no Clearway service answers at 127.0.0.1:1" in done.stderr


def test_the_documents_program_runs_and_shares_its_cache_with_python(server: Server, tmp_path: Path) -> None:
    build()
    document = (MODULE.parents[1] / "docs" / "other-languages.md").read_text(encoding="utf-8")
    program = document.split("```go\n")[1].split("```")[0].replace("localhost:4200", server.address)
    (tmp_path / "main.go").write_text(program)
    command = ["go", "-C", str(MODULE), "run", str(tmp_path / "main.go")]
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, '"hello"\n', "")
    script = Path(__file__).with_name("python_normalise.py")
    environment = os.environ | {"CLEARWAY_ADDRESS": server.address}
    python = subprocess.run(
        [sys.executable, str(script), "  Hello "], env=environment, capture_output=True, text=True, check=True
    )
    assert python.stdout == "Cached hello\n"
