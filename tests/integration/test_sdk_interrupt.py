"""Ctrl-C: a real signal to a real process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

import clearway
from clearway import get_client
from clearway.states import StateType
from integration.sdk_runs import SECONDS, last_flow_run, slots, task_runs
from support.terminal import Terminal

pytestmark = pytest.mark.usefixtures("service")

PROGRAM = Path(__file__).with_name("sdk_interrupted.py")
SDK = str(Path(clearway.__file__).parent)


def start(flow_name: str) -> subprocess.Popen[str]:
    """Start a flow in another process; return when it may be interrupted."""
    process = subprocess.Popen(
        [sys.executable, PROGRAM, flow_name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def interrupt(flow_name: str) -> str:
    """Interrupt a flow in another process; return what it printed to stderr."""
    process = start(flow_name)
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == -signal.SIGINT
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert SDK not in errors, "the user's lines only"
    assert "did not end" not in errors
    assert time.monotonic() - begun < SECONDS
    return errors


def states(flow_name: str) -> Counter[str]:
    return Counter(run.state.name for run in task_runs(flow_name).values())


def nothing_is_left() -> bool:
    """Return whether no slot is held, nobody waits, and no run is under way."""
    with get_client() as client:
        limit = client.read_concurrency_limit_by_tag("interrupted")
        running = client.read_task_runs(state_types=[StateType.RUNNING, StateType.PENDING])
        flows = client.read_flow_runs(state_types=[StateType.RUNNING, StateType.PENDING])
    return (limit.active_slots, limit.waiting, running, flows) == ((), 0, [], [])


def test_a_direct_call_is_interrupted() -> None:
    interrupt("direct")
    assert states("direct") == {"Crashed": 1}
    state = last_flow_run("direct").state
    assert (state.name, state.message) == ("Crashed", "interrupted from the keyboard (KeyboardInterrupt)")
    assert nothing_is_left()


def test_what_runs_is_crashed_what_waits_is_cancelled_and_what_was_not_begun_is_not_made() -> None:
    interrupt("submitted")
    assert states("submitted") == {"Crashed": 3, "Cancelled": 4}
    assert last_flow_run("submitted").state.name == "Crashed"
    assert nothing_is_left()


@pytest.mark.parametrize("name", ["blocking_call", "blocking_result", "blocking_subflow", "blocking_code"])
def test_what_blocks_the_event_loop_of_an_async_flow_is_interrupted_at_the_first_ctrl_c(name: str) -> None:
    interrupt(name)
    assert last_flow_run(name).state.name == "Crashed"
    assert set(states(name)) <= {"Crashed", "Cancelled", "Failed"}
    assert nothing_is_left()


def test_a_flow_that_waits_for_its_tasks_to_end_is_interrupted() -> None:
    interrupt("draining")
    assert states("draining") == {"Crashed": 1}
    assert nothing_is_left()


def test_subflows_are_interrupted_with_their_parents() -> None:
    interrupt("nested")
    assert last_flow_run("nested").state.name == "Crashed"
    assert last_flow_run("direct").state.name == "Crashed"
    assert states("nested") == states("direct") == {"Crashed": 1}
    assert nothing_is_left()


@pytest.mark.parametrize("flow_name", ["asynchronous", "beside"])
def test_async_flows_are_interrupted(flow_name: str) -> None:
    interrupt(flow_name)
    assert last_flow_run(flow_name).state.name == "Crashed"
    assert states("asynchronous") == {"Crashed": 3, "Cancelled": 4}
    assert nothing_is_left()


def test_a_run_that_awaits_its_retry_is_cancelled() -> None:
    interrupt("retrying")
    assert states("retrying") == {"Cancelled": 1}
    assert nothing_is_left()


def test_a_flow_may_catch_the_interrupt_and_raise_it_again() -> None:
    interrupt("catching")
    assert last_flow_run("catching").state.name == "Crashed"
    assert slots("interrupted") == ()


@pytest.mark.parametrize("flow_name", ["direct", "submitted", "draining", "nested", "beside"])
def test_an_interrupt_is_one_sentence_and_the_users_lines(flow_name: str) -> None:
    errors = interrupt(flow_name).splitlines()
    (said,) = [line for line in errors if "interrupted from the keyboard" in line]
    assert "| ERROR   | Flow run " in said
    assert "; its runs are ended: " in said
    assert sum(line.startswith("Traceback") for line in errors) == 1
    assert not any("asyncio" in line for line in errors)


def test_a_worker_process_that_only_starts_says_nothing_of_an_interrupt() -> None:
    process = subprocess.Popen(
        [sys.executable, PROGRAM, "starting"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process of the program
    _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == -signal.SIGINT
    assert errors.count("Traceback") == 1, errors
    assert SDK not in errors


def test_an_interrupt_at_a_terminal_is_one_sentence_and_the_users_lines() -> None:
    with Terminal([sys.executable, str(PROGRAM), "submitted"]) as terminal:
        terminal.wait_text("ready")
        terminal.send(signal.SIGINT)
        code, lines = terminal.end()
    assert code == -signal.SIGINT
    (said,) = [line for line in lines if "Flow run" in line and "began" not in line]
    assert said.endswith("its runs are ended: 8 task runs: 3 crashed, 5 cancelled")
    assert not any(SDK in line for line in lines)
