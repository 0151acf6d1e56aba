"""Short ways to say what is proposed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import uuid_utils
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from clearway.v1.flow_run_pb2 import CreateFlowRunRequest, FlowRun, FlowRunSpec, ListFlowRunStatesRequest
from clearway.v1.proposal_pb2 import Proposal
from clearway.v1.state_pb2 import (
    STATE_TYPE_CANCELLED,
    STATE_TYPE_COMPLETED,
    STATE_TYPE_CRASHED,
    STATE_TYPE_FAILED,
    STATE_TYPE_PENDING,
    STATE_TYPE_RUNNING,
    STATE_TYPE_SCHEDULED,
    Data,
    State,
    StateDetails,
)
from clearway.v1.task_run_pb2 import (
    CreateTaskRunRequest,
    GetTaskRunRequest,
    ListTaskRunStatesRequest,
    TaskRun,
    TaskRunSpec,
)
from support.client import Client

PENDING = State(type=STATE_TYPE_PENDING)
RUNNING = State(type=STATE_TYPE_RUNNING)
COMPLETED = State(type=STATE_TYPE_COMPLETED)
FAILED = State(type=STATE_TYPE_FAILED)
CANCELLED = State(type=STATE_TYPE_CANCELLED)
CRASHED = State(type=STATE_TYPE_CRASHED)


def new_id() -> str:
    """Return a new UUID."""
    return str(uuid_utils.uuid7())


def scheduled(after: timedelta) -> State:
    """Return a Scheduled state for ``after`` from now."""
    time = Timestamp()
    time.FromDatetime(datetime.now(UTC) + after)
    return State(type=STATE_TYPE_SCHEDULED, details=StateDetails(scheduled_time=time))


def seconds(value: float) -> Duration:
    """Return a span."""
    duration = Duration()
    duration.FromTimedelta(timedelta(seconds=value))
    return duration


def with_key(state: State, key: str, expires: float | None = None) -> State:
    """Return ``state`` with a cache key, for ``expires`` seconds."""
    details = StateDetails(cache_key=key, cache_expiration=None if expires is None else seconds(expires))
    keyed = State(details=details)
    keyed.MergeFrom(state)
    return keyed


def with_result(state: State, result: bytes) -> State:
    """Return ``state`` with inline data."""
    full = State(data=Data(encoding="json", inline=result, size=len(result)))
    full.MergeFrom(state)
    return full


def task_spec(flow_run_id: str, **more: Any) -> TaskRunSpec:
    """Return the spec of a task run of its own."""
    given = {"id": new_id(), "task_key": "work", "dynamic_key": new_id()} | more
    return TaskRunSpec(flow_run_id=flow_run_id, **given)


def start(flow_run_id: str, state: State = RUNNING, **more: Any) -> Proposal:
    """Return the proposal that creates a task run and asks for ``state``."""
    return Proposal(id=new_id(), create_task_run=task_spec(flow_run_id, **more), state=state)


def move(task_run_id: str, state: State, proposal_id: str = "") -> Proposal:
    """Return the proposal of a state for a task run."""
    return Proposal(id=proposal_id or new_id(), task_run_id=task_run_id, state=state)


def move_flow(flow_run_id: str, state: State) -> Proposal:
    """Return the proposal of a state for a flow run."""
    return Proposal(id=new_id(), flow_run_id=flow_run_id, state=state)


def create_flow(client: Client, **more: Any) -> FlowRun:
    """Create a flow run."""
    spec = FlowRunSpec(**({"id": new_id(), "flow_name": "flow"} | more))
    return client.stub.CreateFlowRun(CreateFlowRunRequest(flow_run=spec)).flow_run


def create_task(client: Client, flow_run_id: str, initial: State | None = None, **more: Any) -> TaskRun:
    """Create a task run."""
    request = CreateTaskRunRequest(task_run=task_spec(flow_run_id, **more), initial_state=initial)
    return client.stub.CreateTaskRun(request).task_run


def get_task(client: Client, task_run_id: str) -> TaskRun:
    """Return a task run."""
    return client.stub.GetTaskRun(GetTaskRunRequest(id=task_run_id)).task_run


def task_states(client: Client, task_run_id: str) -> list[State]:
    """Return a task run's history."""
    request = ListTaskRunStatesRequest(task_run_id=task_run_id)
    return list(client.stub.ListTaskRunStates(request).states)


def names(client: Client, task_run_id: str) -> list[str]:
    """Return the names of a task run's states, in order."""
    return [state.name for state in task_states(client, task_run_id)]


def flow_names(client: Client, flow_run_id: str) -> list[str]:
    """Return the names of a flow run's states, in order."""
    request = ListFlowRunStatesRequest(flow_run_id=flow_run_id)
    return [state.name for state in client.stub.ListFlowRunStates(request).states]
