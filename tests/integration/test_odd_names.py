"""Names that would steer a terminal, wherever the command line and the SDK show them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from clearway._display.lines import last_line, progress_lines
from clearway._display.snapshot import Counts, Snapshot
from clearway.v1.proposal_pb2 import SetFlowRunStateRequest, SetTaskRunStateRequest
from clearway.v1.state_pb2 import Data, ProposedState, RunError
from clearway.v1.task_run_pb2 import TaskInput
from integration.cli_process import run
from support.client import Client
from support.limits import set_limit
from support.proposals import COMPLETED, RUNNING, create_flow, create_task, start, with_key
from support.server import Server

ODD = "a\x1b[31mb\nc\u202e\u2028d\x9be"
SHOWN = "a\\x1b[31mb\\nc\\u202e\\u2028d\\x9be"
# Tags may have no control characters.
ODD_TAG = "tag\u202e\u2028x"
SHOWN_TAG = "tag\\u202e\\u2028x"
WIDE = {"COLUMNS": "2000"}


def is_harmless(text: str) -> bool:
    """Return whether a text has nothing but what is shown, and line feeds."""
    return all(character == "\n" or character.isprintable() for character in text)


@pytest.fixture(scope="module")
def odd(shared_server: Server) -> Iterator[dict[str, str]]:
    """Runs, limits and cache entries with such names; yield the ids of the runs."""
    with Client(shared_server.address) as client:
        set_limit(client, 1, ODD_TAG)
        flow_run = create_flow(client, name=ODD, flow_name=ODD, flow_version=ODD).spec.id
        state = ProposedState(name=ODD, message=f"one\n{ODD}")
        state.MergeFrom(RUNNING)
        client.stub.SetFlowRunState(SetFlowRunStateRequest(flow_run_id=flow_run, state=state))
        named: dict[str, Any] = {
            "name": ODD,
            "task_key": ODD,
            "task_name": ODD,
            "task_version": ODD,
            "tags": [ODD_TAG],
        }
        stream = client.open(ODD)
        holder, waiter = start(flow_run, **named), start(flow_run, **named)
        assert stream.decide(holder).HasField("accept")
        assert stream.decide(waiter).wait.queued
        done = create_task(
            client,
            flow_run,
            name=f"{ODD}-1",
            task_key=ODD,
            task_name=ODD,
            dynamic_key="1",
            inputs=[TaskInput(parameter=ODD, task_run_ids=[holder.create_task_run.id])],
        ).spec.id
        client.stub.SetTaskRunState(SetTaskRunStateRequest(task_run_id=done, state=with_key(RUNNING, ODD)))
        ended = with_key(COMPLETED, ODD)
        error = RunError(type=ODD, message=ODD, stack_trace="one line\n" + ODD)
        ended.data.CopyFrom(Data(encoding="json", inline=b"1", size_bytes=1, error=error))
        client.stub.SetTaskRunState(SetTaskRunStateRequest(task_run_id=done, state=ended))
        yield {
            "flow": flow_run,
            "holder": holder.create_task_run.id,
            "waiter": waiter.create_task_run.id,
            "done": done,
        }
        stream.break_off()


COMMANDS: list[tuple[tuple[str, ...], str]] = [
    (("flow-run", "ls"), SHOWN),
    (("flow-run", "inspect", "{flow}"), SHOWN),
    (("task-run", "ls"), SHOWN),
    (("task-run", "inspect", "{holder}"), SHOWN),
    (("task-run", "inspect", "{done}"), SHOWN),
    (("task-run", "explain", "{waiter}"), SHOWN),
    (("concurrency-limit", "ls"), SHOWN_TAG),
    (("concurrency-limit", "read", ODD_TAG), SHOWN),
    (("concurrency-limit", "read", f"{ODD_TAG}-nobody"), SHOWN_TAG),
    (("concurrency-limit", "create", ODD_TAG, "1"), SHOWN_TAG),
    (("concurrency-limit", "reset", ODD_TAG), SHOWN_TAG),
    (("cache", "ls"), SHOWN),
    (("cache", "stats"), SHOWN),
    (("cache", "get", ODD), SHOWN),
    (("cache", "get", f"{ODD}-nobody"), SHOWN),
    (("task-run", "inspect", ODD), SHOWN),
]


@pytest.mark.parametrize(("command", "shown"), COMMANDS, ids=range(len(COMMANDS)))
def test_a_command_shows_odd_names_in_one_line_and_written_out(
    command: tuple[str, ...], shown: str, odd: dict[str, str], shared_server: Server
) -> None:
    arguments = [each.format(**odd) if each.startswith("{") else each for each in command]
    done = run(*arguments, CLEARWAY_ADDRESS=shared_server.address, **WIDE)
    printed = done.stdout + done.stderr
    assert is_harmless(printed), repr(printed)
    assert shown in printed


def test_results_to_delete_are_listed_with_their_names_written_out(shared_server: Server) -> None:
    with Client(shared_server.address) as client:
        flow_run = create_flow(client).spec.id
        for digest in ("0" * 64, "1" * 64):
            done = create_task(client, flow_run).spec.id
            for state in (RUNNING, COMPLETED):
                keyed = with_key(state, f"{ODD}gc")
                keyed.refresh_cache = state is RUNNING
                if state is COMPLETED:
                    location = f"/now\u202ehere/{digest[:2]}/{digest}"
                    keyed.data.CopyFrom(Data(encoding="json", location=location, size_bytes=1, sha256=digest))
                client.stub.SetTaskRunState(SetTaskRunStateRequest(task_run_id=done, state=keyed))
    listed = run("cache", "gc", "--older-than", "0s", "-n", CLEARWAY_ADDRESS=shared_server.address, **WIDE)
    printed = listed.stdout + listed.stderr
    assert is_harmless(printed), repr(printed)
    assert f"{SHOWN}gc" in printed


def test_the_progress_and_the_last_line_show_odd_names_written_out() -> None:
    snapshot = Snapshot(ODD, 1.0, Counts(), running=[(ODD, 1.0)], retrying=[(ODD, 2.0)])
    snapshot.waiting[f"for a slot of {ODD!r}"] = 1
    lines = [line.plain for line in progress_lines(snapshot, 0)]
    assert all(is_harmless(line) and "\n" not in line for line in lines)
    assert sum(SHOWN in line for line in lines) == 4
    last = last_line(ODD, f"ended as {ODD} in 1.0 s")
    assert is_harmless(last)
    assert "\n" not in last


LOGGING = f"""
import logging
from clearway import flow, get_run_logger, task

@task(name={ODD!r})
def logging_task():
    get_run_logger().info("first\\n\\tsecond %s", "\\x1b[2J\\u202e")

@flow(name={ODD!r})
def logging_flow():
    logging_task()
    logging.getLogger("clearway.engine").warning("the result of %s is in memory only", {ODD!r})
    logging.getLogger("clearway.engine").warning("it failed", exc_info=ValueError({ODD!r}))

logging_flow()
"""


def test_lines_of_runs_keep_their_own_lines_and_nothing_else() -> None:
    command = [sys.executable, "-c", LOGGING]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    printed = done.stderr
    assert is_harmless(printed.replace("\t", "")), repr(printed)
    assert "first\n\tsecond \\x1b[2J\\u202e\n" in printed
    assert f"the result of {SHOWN} is in memory only\n" in printed
    assert "ValueError: a\\x1b[31mb\nc\\u202e\\u2028d\\x9be\n" in printed
