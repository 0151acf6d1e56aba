"""The JSON documents for runs and states that ``-o json`` prints, with keys that scripts may rely on.

A key is never removed or renamed, and is always present; an unset value is null. Times are in UTC, as in
``2026-01-31T08:15:00.000000Z``; durations are numbers of seconds.
"""

import base64
import json
from collections.abc import Iterable
from typing import Any, TypedDict

from clearway.run_errors import RunErrorKind
from clearway.v1 import flow_run_pb2, state_pb2, task_run_pb2
from clearway_cli import _states, _times


class ErrorDocument(TypedDict):
    """An exception that ended a run; ``cause`` is what it was raised from, ``members`` those of a group.

    ``kind`` is APPLICATION, TIMEOUT, CANCELLED, LOST, UPSTREAM, RESULT or UNKNOWN. With ``non_retryable`` the
    run is not retried.
    """

    type: str
    message: str
    stack_trace: str | None
    cause: "ErrorDocument | None"
    members: list["ErrorDocument"]
    kind: str
    non_retryable: bool


class DataDocument(TypedDict):
    """A result, or its location."""

    encoding: str
    size: int
    sha256: str | None
    location: str | None
    inline_base64: str | None


class StateDocument(TypedDict):
    """A state of a run."""

    id: str
    type: str
    name: str
    timestamp: str | None
    message: str | None
    data: DataDocument | None
    scheduled_time: str | None
    cache_key: str | None
    cache_expiration_seconds: float | None
    child_flow_run_id: str | None
    error: ErrorDocument | None


class _RunDocument(TypedDict):
    id: str
    name: str
    tags: list[str]
    retries: int
    state: StateDocument
    run_count: int
    created: str | None
    expected_start_time: str | None
    start_time: str | None
    end_time: str | None
    total_run_seconds: float


class FlowRunDocument(_RunDocument):
    """A flow run; ``parameters`` is an object with the arguments of the flow.

    ``retry_delay_seconds`` is the first of ``retry_delays_seconds``; 0 if there is none.
    """

    flow_name: str
    flow_version: str | None
    retry_delay_seconds: float
    retry_delays_seconds: list[float]
    retry_jitter_factor: float
    parameters: Any
    parent_task_run_id: str | None


class TaskRunDocument(_RunDocument):
    """A task run; ``task_inputs`` lists, by parameter, the task runs whose results it received."""

    flow_run_id: str
    task_key: str
    dynamic_key: str
    task_name: str
    task_version: str | None
    retry_delays_seconds: list[float]
    retry_jitter_factor: float
    task_inputs: dict[str, list[str]]
    tracks_subflow: bool


class FlowRunHistoryDocument(FlowRunDocument):
    """A flow run with its history of states, the current one last."""

    states: list[StateDocument]


class TaskRunHistoryDocument(TaskRunDocument):
    """A task run with its history of states, the current one last."""

    states: list[StateDocument]


def state(message: state_pb2.State) -> StateDocument:
    """Return the document of a state."""
    details = message.details
    return {
        "id": message.id,
        "type": _states.type_name(message),
        "name": message.name,
        "timestamp": _times.iso_or_none(message, "create_time"),
        "message": message.message or None,
        "data": _data(message.data) if message.data.WhichOneof("body") else None,
        "scheduled_time": _times.iso_or_none(details, "scheduled_time"),
        "cache_key": details.cache_key or None,
        "cache_expiration_seconds": (
            _times.seconds(details.cache_expiration) if details.HasField("cache_expiration") else None
        ),
        "child_flow_run_id": details.child_flow_run_id or None,
        "error": _error(message.data.error) if message.data.HasField("error") else None,
    }


def flow_run(message: flow_run_pb2.FlowRun) -> FlowRunDocument:
    """Return the document of a flow run."""
    spec = message.spec
    delays = [_times.seconds(delay) for delay in spec.retry_policy.delays]
    return {
        **_run(message),
        "flow_name": spec.flow_name,
        "flow_version": spec.flow_version or None,
        "retry_delay_seconds": delays[0] if delays else 0.0,
        "retry_delays_seconds": delays,
        "retry_jitter_factor": spec.retry_policy.jitter_factor,
        "parameters": parameters(spec),
        "parent_task_run_id": spec.parent_task_run_id or None,
    }


def task_run(message: task_run_pb2.TaskRun) -> TaskRunDocument:
    """Return the document of a task run."""
    spec = message.spec
    return {
        **_run(message),
        "flow_run_id": spec.flow_run_id,
        "task_key": spec.task_key,
        "dynamic_key": spec.dynamic_key,
        "task_name": spec.task_name,
        "task_version": spec.task_version or None,
        "retry_delays_seconds": [_times.seconds(delay) for delay in spec.retry_policy.delays],
        "retry_jitter_factor": spec.retry_policy.jitter_factor,
        "task_inputs": {given.parameter: list(given.task_run_ids) for given in spec.inputs},
        "tracks_subflow": spec.tracks_subflow,
    }


def flow_run_history(
    message: flow_run_pb2.FlowRun, states: Iterable[state_pb2.State]
) -> FlowRunHistoryDocument:
    """Return the document of a flow run with its history."""
    return {**flow_run(message), "states": [state(each) for each in states]}


def task_run_history(
    message: task_run_pb2.TaskRun, states: Iterable[state_pb2.State]
) -> TaskRunHistoryDocument:
    """Return the document of a task run with its history."""
    return {**task_run(message), "states": [state(each) for each in states]}


def parameters(spec: flow_run_pb2.FlowRunSpec) -> Any:
    """Return a flow run's parameters; as text, if a client wrote something that is not JSON."""
    try:
        return json.loads(spec.parameters_json or "{}")
    except ValueError:
        return spec.parameters_json


def _run(message: flow_run_pb2.FlowRun | task_run_pb2.TaskRun) -> _RunDocument:
    return {
        "id": message.spec.id,
        "name": message.spec.name,
        "tags": list(message.spec.tags),
        "retries": max(0, message.spec.retry_policy.max_attempts - 1),
        "state": state(message.state),
        "run_count": message.run_count,
        "created": _times.iso_or_none(message, "create_time"),
        "expected_start_time": _times.iso_or_none(message, "expected_start_time"),
        "start_time": _times.iso_or_none(message, "start_time"),
        "end_time": _times.iso_or_none(message, "end_time"),
        "total_run_seconds": _times.seconds(message.total_run_time),
    }


def _error(message: state_pb2.RunError) -> ErrorDocument:
    return {
        "type": message.type,
        "message": message.message,
        "stack_trace": message.stack_trace or None,
        "cause": _error(message.cause) if message.HasField("cause") else None,
        "members": [_error(member) for member in message.members],
        "kind": RunErrorKind(message.kind).name,
        "non_retryable": message.non_retryable,
    }


def _data(message: state_pb2.Data) -> DataDocument:
    inline = message.WhichOneof("body") == "inline"
    return {
        "encoding": message.encoding,
        "size": message.size_bytes,
        "sha256": message.sha256 or None,
        "location": message.location or None,
        "inline_base64": base64.b64encode(message.inline).decode() if inline else None,
    }
