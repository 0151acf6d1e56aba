"""A process that is stopped past its lease and goes on: its runs are Crashed, and its code is told."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from clearway import flow, get_client, task
from clearway._execution.flow.attempt import FlowAttempt
from clearway._execution.shutdown import fencing
from clearway.context import get_run_context
from clearway.exceptions import LostRun
from integration.sdk_runs import SECONDS, flow_history, history, last_flow_run, set_limit, slots, task_runs
from support.server import Server
from support.waiting import wait_until

PROGRAM = Path(__file__).with_name("sdk_paused.py")
LEASE = "3"


@pytest.fixture(params=["embedded", "server"], autouse=True)
def short_lease(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[None]:
    """Use a service that soon takes a silent process for dead."""
    monkeypatch.setenv("CLEARWAY_LEASE_SECONDS", LEASE)
    if request.param == "embedded":
        yield
        return
    with Server(tmp_path / "server.db") as server:
        monkeypatch.setenv("CLEARWAY_ADDRESS", server.address)
        yield


def paused(flow_name: str, waiting: str = "") -> tuple[list[str], str, int]:
    """Stop the program in the middle of a flow until the service has given it up, and let it go on.

    Args:
        flow_name: The flow.
        waiting: A tag for whose slot somebody waits by then.

    Returns:
        What it printed after that to stdout and to stderr, and its exit code.
    """
    process = subprocess.Popen(
        [sys.executable, PROGRAM, flow_name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        with get_client() as client:
            if waiting:
                wait_until(lambda: client.read_concurrency_limit_by_tag(waiting).waiting, "who waits")
            process.send_signal(signal.SIGSTOP)
            wait_until(lambda: last_flow_run(flow_name).end_time, "the end of the lease")
        process.send_signal(signal.SIGCONT)
        lines, errors = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
        process.wait()
    return lines.splitlines(), errors, process.returncode


def test_the_main_thread_of_a_flow_asks_or_hears_it_at_its_next_call() -> None:
    lines, errors, code = paused("main_thread")
    of_tasks = {"the task in a thread was told", "the awaiting task was cancelled"}
    assert of_tasks <= set(lines)
    flow_was_told, refused, *states_seen = [line for line in lines if line not in of_tasks]
    assert flow_was_told == "the flow was told"
    assert refused.startswith("refused: the flow run")
    assert "lost its client" in refused
    assert states_seen == ["state: Crashed", "state: Crashed", "state: Cancelled"]
    assert code == 1
    assert "LostRun: the flow run" in errors.splitlines()[-1]
    run = last_flow_run("main_thread")
    assert flow_history(run.id) == ["Pending", "Running", "Crashed"]
    states = Counter(tuple(history(task_run.id)) for task_run in task_runs("main_thread").values())
    assert states == {("Running", "Crashed"): 2}
    (warning,) = [line for line in errors.splitlines() if "has ended runs of this process" in line]
    assert "it was last seen at 20" in warning
    for name in (repr(run.name), "scan-0", "wait-0"):
        assert name in warning


def test_a_task_that_a_flow_called_directly_ends_with_an_exception_when_its_code_returns() -> None:
    lines, errors, code = paused("direct")
    assert lines[0] == "the task in a thread was told"
    assert lines[1].startswith("raised: the task run 'scan-0' was stopped: lost its client")
    assert code == 1
    assert "LostRun" in errors.splitlines()[-1]
    assert history(task_runs("direct")["scan-0"].id) == ["Running", "Crashed"]


def test_what_waited_for_a_slot_does_not_begin_when_its_flow_run_is_lost() -> None:
    set_limit("narrow", 1)
    lines, errors, code = paused("queued", waiting="narrow")
    assert Counter(lines) == {
        "the task that held the slot was told": 1,
        "state: Crashed": 1,
        "state: Cancelled": 1,
    }
    assert code == 1
    assert "LostRun: the flow run" in errors
    assert slots("narrow") == ()
    runs = task_runs("queued")
    assert history(runs["hold-0"].id)[-1] == "Crashed"
    assert history(runs["follow-0"].id)[-1] == "Cancelled"


def test_no_task_begins_from_the_moment_on_in_which_its_flow_run_is_lost() -> None:
    begun: list[str] = []

    @task
    def follow() -> None:
        begun.append("follow")

    @flow
    def fenced() -> str:
        fencing.fence(frozenset({get_run_context().flow_run_id}))
        return follow.submit().wait().message

    assert (
        fenced() == "its flow run lost its lease after the service received no heartbeats from this process"
    )
    assert begun == []
    assert history(task_runs("fenced")["follow-0"].id)[-1] == "Cancelled"


def test_who_waits_for_a_run_that_is_given_up_is_told_when_the_service_is() -> None:
    set_limit("narrow", 1)
    holds, release = threading.Event(), threading.Event()
    ends: list[str] = []

    @task(tags=["narrow"])
    def hold() -> None:
        holds.set()
        release.wait(SECONDS)

    @task(tags=["narrow"])
    def follow() -> None:
        raise AssertionError("must not run")

    @flow
    def given_up() -> None:
        held = hold.submit()
        holds.wait(SECONDS)
        waits = follow.submit()
        attempt = FlowAttempt.current()

        def look() -> None:
            attempt.await_answers()
            ends.append(history(waits.task_run_id)[-1])

        with get_client() as client:
            wait_until(lambda: client.read_concurrency_limit_by_tag("narrow").waiting, "who waits")
        waits.when_done(look)
        attempt.lose(frozenset({attempt.facts.flow_run_id}), "the test says so")
        release.set()
        held.wait()

    with pytest.raises(LostRun):
        given_up()
    assert ends == ["Cancelled"]


def test_an_async_flow_is_cancelled_and_what_awaits_it_is_not() -> None:
    lines, errors, code = paused("asynchronous")
    assert Counter(lines) == {
        "the awaiting task was cancelled": 2,
        "the flow was cancelled": 1,
        "the flow is Crashed": 1,
        "the program goes on": 1,
    }
    assert code == 0, errors
    assert flow_history(last_flow_run("asynchronous").id) == ["Pending", "Running", "Crashed"]
    assert {tuple(history(run.id)) for run in task_runs("asynchronous").values()} == {("Running", "Crashed")}
