"""The keys that scripts rely on: this test is their list, and none is removed or renamed."""

import json

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from clearway.v1.flow_run_pb2 import FlowRun, FlowRunSpec
from clearway.v1.retry_pb2 import RetryPolicy
from clearway.v1.state_pb2 import (
    RUN_ERROR_KIND_TIMEOUT,
    STATE_TYPE_COMPLETED,
    Data,
    RunError,
    State,
    StateDetails,
)
from clearway.v1.task_run_pb2 import TaskInput, TaskRun, TaskRunSpec
from clearway_cli import _documents

NOON = Timestamp(seconds=1_767_268_800)
STATE = State(
    id="s",
    type=STATE_TYPE_COMPLETED,
    name="Cached",
    create_time=NOON,
    data=Data(encoding="json", location="/results/x", size_bytes=3, sha256="ab"),
    details=StateDetails(cache_key="k", cache_expiration=Duration(seconds=60)),
)
POLICY = RetryPolicy(
    max_attempts=3, delays=[Duration(nanos=500_000_000), Duration(seconds=2)], jitter_factor=0.25
)
STATE_DOCUMENT = {
    "id": "s",
    "type": "COMPLETED",
    "name": "Cached",
    "timestamp": "2026-01-01T12:00:00.000000Z",
    "message": None,
    "data": {"encoding": "json", "size": 3, "sha256": "ab", "location": "/results/x", "inline_base64": None},
    "scheduled_time": None,
    "cache_key": "k",
    "cache_expiration_seconds": 60.0,
    "child_flow_run_id": None,
    "error": None,
}


def test_a_task_run() -> None:
    spec = TaskRunSpec(
        id="t",
        flow_run_id="f",
        task_key="load-key",
        dynamic_key="0",
        task_name="load",
        name="load-0",
        tags=["disk"],
        retry_policy=POLICY,
        inputs=[TaskInput(parameter="x", task_run_ids=["u"])],
    )
    run = TaskRun(
        spec=spec,
        state=STATE,
        run_count=1,
        create_time=NOON,
        total_run_time=Duration(seconds=2),
    )
    assert _documents.task_run_history(run, [STATE]) == {
        "id": "t",
        "name": "load-0",
        "flow_run_id": "f",
        "task_key": "load-key",
        "dynamic_key": "0",
        "task_name": "load",
        "task_version": None,
        "tags": ["disk"],
        "retries": 2,
        "retry_delays_seconds": [0.5, 2.0],
        "retry_jitter_factor": 0.25,
        "task_inputs": {"x": ["u"]},
        "tracks_subflow": False,
        "state": STATE_DOCUMENT,
        "run_count": 1,
        "created": "2026-01-01T12:00:00.000000Z",
        "expected_start_time": None,
        "start_time": None,
        "end_time": None,
        "total_run_seconds": 2.0,
        "states": [STATE_DOCUMENT],
    }


def test_a_flow_run() -> None:
    spec = FlowRunSpec(id="f", name="brisk-otter", flow_name="etl", parameters_json='{"n": [1, 2]}')
    run = FlowRun(spec=spec, state=STATE)
    assert _documents.flow_run_history(run, []) == {
        "id": "f",
        "name": "brisk-otter",
        "flow_name": "etl",
        "flow_version": None,
        "parameters": {"n": [1, 2]},
        "parent_task_run_id": None,
        "tags": [],
        "retries": 0,
        "retry_delay_seconds": 0.0,
        "retry_delays_seconds": [],
        "retry_jitter_factor": 0.0,
        "state": STATE_DOCUMENT,
        "run_count": 0,
        "created": None,
        "expected_start_time": None,
        "start_time": None,
        "end_time": None,
        "total_run_seconds": 0.0,
        "states": [],
    }


def test_a_flow_run_s_retries() -> None:
    document = _documents.flow_run(FlowRun(spec=FlowRunSpec(retry_policy=POLICY)))
    assert (document["retries"], document["retry_delay_seconds"]) == (2, 0.5)
    assert (document["retry_delays_seconds"], document["retry_jitter_factor"]) == ([0.5, 2.0], 0.25)


def test_parameters_that_are_no_json_are_shown_as_text() -> None:
    spec = FlowRunSpec(parameters_json="{oops")
    assert _documents.flow_run(FlowRun(spec=spec))["parameters"] == "{oops"


def test_a_result_in_the_state_is_base64() -> None:
    document = _documents.state(State(data=Data(encoding="bytes", inline=b"\x00\xff", size_bytes=2)))
    assert document["data"] == {
        "encoding": "bytes",
        "size": 2,
        "sha256": None,
        "location": None,
        "inline_base64": "AP8=",
    }


def test_an_exception_has_its_cause_and_its_members() -> None:
    error = RunError(
        type="builtins.ValueError",
        message="bad",
        stack_trace="line 1",
        kind=RUN_ERROR_KIND_TIMEOUT,
        non_retryable=True,
    )
    error.cause.type = "builtins.KeyError"
    error.members.add(type="builtins.OSError", message="gone")
    document = _documents.state(State(data=Data(error=error)))
    assert document["data"] is None
    inner = {"stack_trace": None, "cause": None, "members": [], "kind": "UNKNOWN", "non_retryable": False}
    assert document["error"] == {
        "type": "builtins.ValueError",
        "message": "bad",
        "stack_trace": "line 1",
        "cause": {"type": "builtins.KeyError", "message": "", **inner},
        "members": [{"type": "builtins.OSError", "message": "gone", **inner}],
        "kind": "TIMEOUT",
        "non_retryable": True,
    }


def test_every_document_is_json() -> None:
    run = TaskRun(spec=TaskRunSpec(id="t"), state=STATE)
    assert json.loads(json.dumps(_documents.task_run(run))) == _documents.task_run(run)
