"""The JSON documents for runs and states that ``-o json`` prints, with keys that scripts may rely on.

A key is never removed or renamed, and is always present; an unset value is null. Times are in UTC, as in
``2026-01-31T08:15:00.000000Z``; durations are numbers of seconds.
"""

import base64
import json
from collections.abc import Iterable
from typing import Any, TypedDict

from clearway.v1 import flow_run_pb2, state_pb2, task_run_pb2
from clearway_cli import _states, _times


class ErrorDocument(TypedDict):
    """An exception that ended a run; ``cause`` is what it was raised from, ``members`` those of a group."""

    type: str
    message: str
    stack_trace: str | None
    cause: "ErrorDocument | None"
    members: list["ErrorDocument"]


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
    """A flow run; ``parameters`` is an object with the arguments of the flow."""

    flow_name: str
    flow_version: str | None
    retry_delay_seconds: float
    parameters: Any
    parent_task_run_id: str | None


class TaskRunDocument(_RunDocument):
    """A task run; ``task_inputs`` lists, by parameter, the task runs whose results it received."""

    flow_run_id: str
    task_key: str
    dynamic_key: str
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
        "timestamp": _times.iso_or_none(message, "timestamp"),
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
    return {
        **_run(message),
        "flow_name": message.flow_name,
        "flow_version": message.flow_version or None,
        "retry_delay_seconds": _times.seconds(message.retry_delay),
        "parameters": parameters(message),
        "parent_task_run_id": message.parent_task_run_id or None,
    }


def task_run(message: task_run_pb2.TaskRun) -> TaskRunDocument:
    """Return the document of a task run."""
    return {
        **_run(message),
        "flow_run_id": message.flow_run_id,
        "task_key": message.task_key,
        "dynamic_key": message.dynamic_key,
        "task_version": message.task_version or None,
        "retry_delays_seconds": [_times.seconds(delay) for delay in message.retry_delays],
        "retry_jitter_factor": message.retry_jitter_factor,
        "task_inputs": {given.parameter: list(given.task_run_ids) for given in message.inputs},
        "tracks_subflow": message.tracks_subflow,
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


def parameters(message: flow_run_pb2.FlowRun) -> Any:
    """Return a flow run's parameters; as text if a client wrote something that is not JSON."""
    try:
        return json.loads(message.parameters_json or "{}")
    except ValueError:
        return message.parameters_json


def _run(message: flow_run_pb2.FlowRun | task_run_pb2.TaskRun) -> _RunDocument:
    return {
        "id": message.id,
        "name": message.name,
        "tags": list(message.tags),
        "retries": message.retries,
        "state": state(message.state),
        "run_count": message.run_count,
        "created": _times.iso_or_none(message, "created"),
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
    }


def _data(message: state_pb2.Data) -> DataDocument:
    inline = message.WhichOneof("body") == "inline"
    return {
        "encoding": message.encoding,
        "size": message.size,
        "sha256": message.sha256 or None,
        "location": message.location or None,
        "inline_base64": base64.b64encode(message.inline).decode() if inline else None,
    }
