"""``clearway task-run explain``, against a server and against the database file."""

import json
import os
import socket
from datetime import datetime
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from clearway import get_client
from clearway._base.ids import new_id
from clearway._transport.current import connect
from clearway._transport.rpcs import CREATE_TASK_RUN
from clearway.v1.proposal_pb2 import Proposal
from clearway.v1.retry_pb2 import RetryPolicy
from clearway.v1.state_pb2 import STATE_TYPE_FAILED, ProposedState
from clearway.v1.task_run_pb2 import CreateTaskRunRequest, TaskInput, TaskRunSpec
from integration.cli_holding import end, holding, waiting
from integration.cli_process import answer, complaint
from integration.sdk_messages import SECONDS, create_flow_run, start_task
from integration.sdk_runs import set_limit

NO_RUN = "0198c5a1-7c1e-7d3a-9f52-3f1d2a6b8c4e"


@pytest.fixture(params=["embedded", "server"], autouse=True)
def _service(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "server":
        monkeypatch.setenv("CLEARWAY_ADDRESS", request.getfixturevalue("server").address)
    else:
        assert not os.environ.get("CLEARWAY_ADDRESS")


def explained(run_id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer("task-run", "explain", run_id, "-o", "json"))
    return found


def create_run(flow_run_id: str, *inputs: TaskInput) -> str:
    """Create a task run that its client has not proposed to run."""
    spec = TaskRunSpec(
        id=new_id(),
        flow_run_id=flow_run_id,
        task_key="task",
        dynamic_key="created",
        name="load",
        inputs=inputs,
    )
    CREATE_TASK_RUN.start(connect(), CreateTaskRunRequest(task_run=spec)).result(SECONDS)
    return spec.id


def test_a_run_that_waits_for_a_slot_is_told_who_holds_it() -> None:
    set_limit("disk", 1)
    with holding() as holder, waiting("disk", 1) as waiter, get_client() as client:
        read = client.read_concurrency_limit_by_tag("disk")
        (held,), (waits,) = read.holders, read.waiters

        found = explained(waits.task_run_id)
        assert (found["cause"], found["task_run"]["id"]) == ("LIMIT", waits.task_run_id)
        assert datetime.fromisoformat(found["waiting_since"]) == waits.since
        assert found["waited_seconds"] > 0
        assert (found["holder"], found["upstream"], found["scheduled_time"]) == (None, [], None)
        (limit,) = found["limits"]
        (named,) = limit["holders"]
        assert (limit["tag"], limit["blocks"], limit["position"]) == ("disk", True, 1)
        assert named["task_run_id"] == held.task_run_id
        assert named["client_name"] == f"{socket.gethostname()}:{holder.pid}"
        assert 0 < named["lease_left_seconds"] <= 30

        facts, limits, holders = answer("task-run", "explain", waits.task_run_id).split("\n\n")
        assert f"Why            {found['summary']}\nWaiting since  " in facts
        assert limits.splitlines()[1].split() == ["disk", "1/1", "[##########]", "yes", "1"]
        title, _, row = holders.splitlines()
        assert title == "Holders of the slots of tag 'disk'"
        assert row.split()[:3] == [held.task_run_id, "hold-0", held.client_name]

        facts, limits = answer("task-run", "explain", held.task_run_id).split("\n\n")
        assert dict(line.split(None, 1) for line in facts.splitlines())["Client"] == held.client_name
        assert limits.splitlines()[1].split() == ["disk", "1/1", "[##########]", "no", "-"]
        end(holder)
        end(waiter)


def test_a_run_that_waits_for_its_time_is_told_when_it_comes() -> None:
    transport = connect()
    retried = start_task(
        create_flow_run(transport),
        0,
        name="flaky",
        retry_policy=RetryPolicy(max_attempts=2, delays=[Duration(seconds=600)]),
    )
    run_id = retried.create_task_run.id
    transport.propose(retried).result(SECONDS)
    failed = Proposal(id=new_id(), task_run_id=run_id, state=ProposedState(type=STATE_TYPE_FAILED))
    assert transport.propose(failed).result(SECONDS).HasField("reject")
    found = explained(run_id)
    assert (found["cause"], found["task_run"]["state"]["name"]) == ("SCHEDULE", "AwaitingRetry")
    assert found["scheduled_time"] == found["task_run"]["state"]["scheduled_time"]
    shown = answer("task-run", "explain", run_id)
    assert "flaky is AwaitingRetry" in shown
    assert "(in 9m)\n" in shown


def test_a_run_that_waits_for_another_is_told_which() -> None:
    transport = connect()
    flow_run_id = create_flow_run(transport)
    running = start_task(flow_run_id, 0, name="download")
    upstream_id = running.create_task_run.id
    transport.propose(running).result(SECONDS)
    run_id = create_run(flow_run_id, TaskInput(parameter="path", task_run_ids=[upstream_id]))
    found = explained(run_id)
    assert found["cause"] == "UPSTREAM"
    assert found["upstream"] == [
        {
            "parameter": "path",
            "task_run_id": upstream_id,
            "task_run_name": "download",
            "state_type": "RUNNING",
            "state_name": "Running",
        }
    ]
    _, upstream = answer("task-run", "explain", run_id).split("\n\n")
    assert upstream.splitlines()[1].split() == ["path", upstream_id, "download", "Running"]


@pytest.mark.parametrize("_service", ["server"], indirect=True)
def test_a_run_whose_client_has_not_proposed_it_is_told_so() -> None:
    run_id = create_run(create_flow_run(connect()))
    assert explained(run_id)["cause"] == "CLIENT"
    assert "its client has not proposed to run it" in answer("task-run", "explain", run_id)


@pytest.mark.parametrize("_service", ["server"], indirect=True)
def test_what_is_not_there_is_an_error_that_names_it() -> None:
    assert NO_RUN in complaint(1, "task-run", "explain", NO_RUN)
    assert "'not-an-id'" in complaint(1, "task-run", "explain", "not-an-id")
