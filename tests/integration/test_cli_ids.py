"""What people type for a run: its id, a beginning of that, or its name; and what a narrow terminal shows."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from clearway._base.ids import new_id
from clearway._transport.current import connect, disconnect
from clearway._transport.rpcs import CREATE_FLOW_RUN, CREATE_TASK_RUN
from clearway.v1.flow_run_pb2 import CreateFlowRunRequest, FlowRunSpec
from clearway.v1.task_run_pb2 import CreateTaskRunRequest, TaskRunSpec
from integration.cli_process import answer, complaint, run
from integration.sdk_messages import SECONDS

LONG = "a-name-that-is-much-too-long-for-a-narrow-terminal-" * 4
OLD = "01000000-0000-7000-8000-00000000000{}"  # of the year 2004, by a client whose clock is wrong
RANDOM = "f47ac10b-58cc-4372-a567-0e02b2c3d479"  # of version 4, as other clients may make them


@pytest.fixture(params=["embedded", "server"], autouse=True)
def _service(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "server":
        monkeypatch.setenv("CLEARWAY_ADDRESS", request.getfixturevalue("server").address)
    else:
        assert not os.environ.get("CLEARWAY_ADDRESS")


def create_flow_run(name: str, run_id: str = "") -> str:
    spec = FlowRunSpec(id=run_id or new_id(), flow_name="nightly", name=name)
    CREATE_FLOW_RUN.start(connect(), CreateFlowRunRequest(flow_run=spec)).result(SECONDS)
    return spec.id


def create_task_run(flow_run_id: str, name: str) -> str:
    spec = TaskRunSpec(id=new_id(), flow_run_id=flow_run_id, task_key="load", dynamic_key=name, name=name)
    CREATE_TASK_RUN.start(connect(), CreateTaskRunRequest(task_run=spec)).result(SECONDS)
    return spec.id


def inspected(kind: str, given: str) -> str:
    document: dict[str, Any] = json.loads(answer(kind, "inspect", given, "-o", "json"))
    return str(document["id"])


def shown_ids(*arguments: str) -> list[str]:
    """Return the first column of a table at 80 columns; each run has one line."""
    _, *rows = answer(*arguments, COLUMNS="80").splitlines()
    assert all(len(row) <= 80 for row in rows)
    return [row.split()[0] for row in rows]


def test_what_a_narrow_terminal_shows_is_accepted_wherever_an_id_is() -> None:
    flows = [create_flow_run(f"{LONG}{number}") for number in range(20)]
    tasks = [create_task_run(flows[0], f"{LONG}{number}") for number in range(20)]
    disconnect()
    for kind, ids in (("flow-run", flows), ("task-run", tasks)):
        short = shown_ids(kind, "ls")
        assert len(short) == len(ids) == len({*short})
        assert all(len(each) < 36 for each in short)
        for each, whole in zip(reversed(short), ids, strict=True):
            if whole in (ids[0], ids[7], ids[-1]):
                assert inspected(kind, each) == whole
                assert inspected(kind, each.replace("-", "").upper()) == whole
    short_flow = shown_ids("flow-run", "ls")[-1]
    assert len(shown_ids("task-run", "ls", "--flow-run", short_flow)) == 20
    explained = json.loads(answer("task-run", "explain", shown_ids("task-run", "ls")[0], "-o", "json"))
    assert tasks[-1] in json.dumps(explained)


def test_a_name_is_accepted_where_an_id_is() -> None:
    flow_run = create_flow_run("merry-lapwing")
    create_flow_run("merry-lapwing-2")
    task_run = create_task_run(flow_run, "beef")
    disconnect()
    assert inspected("flow-run", "merry-lapwing") == flow_run
    assert inspected("task-run", "beef") == task_run
    (listed,) = json.loads(answer("task-run", "ls", "--flow-run", "merry-lapwing", "-o", "json"))
    assert listed["id"] == task_run


def test_what_means_several_runs_is_an_error_with_their_ids() -> None:
    ids = [create_flow_run("twice", OLD.format(number)) for number in (1, 2)]
    disconnect()
    for given in ("twice", "0100", OLD.format("")):
        told = complaint(2, "flow-run", "inspect", given)
        assert f"'{given}' means 2 flow runs; give more of an id: " in told
        assert all(each in told for each in ids)
    assert inspected("flow-run", ids[0]) == ids[0]


def test_ids_of_other_clocks_and_versions_are_found_too() -> None:
    create_flow_run("of today")
    for given in (OLD.format(1), RANDOM):
        create_flow_run("of another client", given)
    disconnect()
    assert inspected("flow-run", OLD.format("")) == OLD.format(1)
    assert inspected("flow-run", RANDOM[:6]) == RANDOM


def test_what_means_no_run_is_an_error_that_names_it() -> None:
    create_flow_run("here")
    disconnect()
    for given in ("nowhere", "feed-me", "dead", "x" * 5_000, "%", "\x1b[2J"):
        told = complaint(1, "flow-run", "inspect", given)
        assert told.startswith("Error: no flow run has the name '")
        assert told.rstrip("\n").isprintable()


def test_an_ascii_terminal_gets_escapes() -> None:
    create_flow_run("größer-漢字")
    create_flow_run("größer-" + "漢" * 100)
    disconnect()
    for arguments in (["flow-run", "ls"], ["flow-run", "inspect", "größer-漢字"], ["-h"]):
        for columns in ("40", "80", "300"):
            done = run(*arguments, PYTHONIOENCODING="ascii", COLUMNS=columns)
            assert done.returncode == 0, done.stderr
            assert done.stdout.isascii()
    assert "gr\\xf6\\xdfer-\\u6f22\\u5b57" in answer("flow-run", "ls", PYTHONIOENCODING="ascii")
    assert "größer-漢字" in answer("flow-run", "ls", PYTHONIOENCODING="utf-8")
