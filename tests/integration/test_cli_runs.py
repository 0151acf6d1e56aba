"""``clearway flow-run`` and ``clearway task-run``, against a server and against the database file."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from integration.cli_process import answer, complaint, run

FLOW = Path(__file__).with_name("cli_flow.py")
NO_RUN = "0198c5a1-7c1e-7d3a-9f52-3f1d2a6b8c4e"


@pytest.fixture(params=["embedded", "server"], autouse=True)
def _service(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "server":
        monkeypatch.setenv("CLEARWAY_ADDRESS", request.getfixturevalue("server").address)
    else:
        assert not os.environ.get("CLEARWAY_ADDRESS")


def listed(*arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(answer(*arguments, "-o", "json"))
    return found


def test_the_runs_of_a_flow_are_listed_and_inspected() -> None:
    subprocess.run([sys.executable, FLOW], check=True, capture_output=True)

    (flow_run,) = listed("flow-run", "ls")
    assert (flow_run["flow_name"], flow_run["flow_version"]) == ("cli-flow", "7")
    assert flow_run["parameters"] == {"numbers": [1, 2]}
    assert flow_run["state"]["type"] == "COMPLETED"
    assert flow_run["run_count"] == 1
    _flow_run_for_people(flow_run)

    task_runs = listed("task-run", "ls", "--flow-run", flow_run["id"])
    assert [run["state"]["name"] for run in task_runs] == ["Failed", "Cached", "Completed", "Completed"]
    assert {run["flow_run_id"] for run in task_runs} == {flow_run["id"]}
    failed, cached, _, first = task_runs
    assert cached["state"]["cache_key"] == "load-1"
    assert failed["task_inputs"] == {"given": [first["id"]]}
    assert (failed["run_count"], failed["retries"], failed["task_version"]) == (2, 1, "3")
    _task_run_for_people(failed)


def _flow_run_for_people(flow_run: dict[str, Any]) -> None:
    heading, row = answer("flow-run", "ls").splitlines()
    assert heading.split() == ["ID", "NAME", "FLOW", "STATE", "AGE", "TIME", "TAGS"]
    assert row.split()[:4] == [flow_run["id"], flow_run["name"], "cli-flow", "Completed"]

    inspected = json.loads(answer("flow-run", "inspect", flow_run["id"], "-o", "json"))
    assert [state["name"] for state in inspected.pop("states")] == ["Pending", "Running", "Completed"]
    assert inspected == flow_run

    shown = run("flow-run", "inspect", flow_run["id"])
    assert f"clearway task-run ls --flow-run {flow_run['id']}" in shown.stderr
    assert "Flow        cli-flow, version 7\n" in shown.stdout
    facts, _, history = shown.stdout.partition("\n\n")
    assert dict(line.split(None, 1) for line in facts.splitlines())["Parameters"] == '{"numbers": [1, 2]}'
    assert [line.split()[2] for line in history.splitlines()[1:]] == ["Pending", "Running", "Completed"]


def _task_run_for_people(failed: dict[str, Any]) -> None:
    inspected = json.loads(answer("task-run", "inspect", failed["id"], "-o", "json"))
    names = [state["name"] for state in inspected.pop("states")]
    assert names == ["Running", "AwaitingRetry", "Retrying", "Failed"]
    assert inspected == failed

    shown = answer("task-run", "inspect", failed["id"])
    assert "\x1b" not in shown
    assert "ValueError: bad \\x1b[31mnews\\x1b[0m of 1" in shown
    assert failed["id"][:13] in answer("task-run", "ls", COLUMNS="30")


@pytest.mark.parametrize("_service", ["server"], indirect=True)
def test_runs_are_picked_by_what_is_known_of_them() -> None:
    subprocess.run([sys.executable, FLOW], check=True, capture_output=True)
    for matching in (["--flow-name", "cli-flow"], ["--state", "completed"], ["--limit", "1"]):
        assert len(listed("flow-run", "ls", *matching)) == 1
    for other in (["--flow-name", "other"], ["--state", "failed"], ["--tag", "none"]):
        assert listed("flow-run", "ls", *other) == []

    failed, cached, second, first = task_runs = listed("task-run", "ls")
    assert [run["name"] for run in task_runs] == ["explode-0", "load-2", "load-1", "load-0"]
    assert listed("task-run", "ls", "--state", "failed") == [failed]
    assert listed("task-run", "ls", "--state", "cached") == [cached]
    assert listed("task-run", "ls", "--state", "completed") == [cached, second, first]
    assert listed("task-run", "ls", "--tag", "disk", "--name", "LOAD") == [cached, second, first]
    assert listed("task-run", "ls", "--limit", "2") == [failed, cached]
    assert "These are the newest 2" in run("task-run", "ls", "--limit", "2").stderr


def test_what_is_not_there_is_an_error_that_names_it() -> None:
    for command in (["flow-run", "inspect"], ["task-run", "inspect"], ["task-run", "ls", "--flow-run"]):
        assert NO_RUN in complaint(1, *command, NO_RUN)
        assert "'not-an-id'" in complaint(1, *command, "not-an-id")


def test_nothing_found_is_no_error() -> None:
    for kind in ("flow-run", "task-run"):
        assert listed(kind, "ls") == []
        empty = run(kind, "ls", "--state", "complted")
        assert (empty.returncode, empty.stdout) == (0, "")
        assert "'complted' is neither a state type" in empty.stderr
