"""Shorthands for building proposals."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import uuid_utils
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from clearway.v1.flow_run_pb2 import CreateFlowRunRequest, FlowRun, FlowRunSpec, ListFlowRunStatesRequest
from clearway.v1.proposal_pb2 import Proposal
from clearway.v1.retry_pb2 import RetryPolicy
from clearway.v1.state_pb2 import (
    STATE_TYPE_CANCELLED,
    STATE_TYPE_COMPLETED,
    STATE_TYPE_CRASHED,
    STATE_TYPE_FAILED,
    STATE_TYPE_PENDING,
    STATE_TYPE_RUNNING,
    STATE_TYPE_SCHEDULED,
    Data,
    ProposedState,
    State,
)
from clearway.v1.task_run_pb2 import (
    CreateTaskRunRequest,
    GetTaskRunRequest,
    ListTaskRunStatesRequest,
    TaskRun,
    TaskRunSpec,
)
from support.client import Client

PENDING = ProposedState(type=STATE_TYPE_PENDING)
RUNNING = ProposedState(type=STATE_TYPE_RUNNING)
COMPLETED = ProposedState(type=STATE_TYPE_COMPLETED)
FAILED = ProposedState(type=STATE_TYPE_FAILED)
CANCELLED = ProposedState(type=STATE_TYPE_CANCELLED)
CRASHED = ProposedState(type=STATE_TYPE_CRASHED)


def new_id() -> str:
    """Return a new UUID."""
    return str(uuid_utils.uuid7())


def scheduled(after: timedelta) -> ProposedState:
    """Return a Scheduled state that is due in ``after``."""
    time = Timestamp()
    time.FromDatetime(datetime.now(UTC) + after)
    return ProposedState(type=STATE_TYPE_SCHEDULED, scheduled_time=time)


def seconds(value: float) -> Duration:
    """Return a duration."""
    duration = Duration()
    duration.FromTimedelta(timedelta(seconds=value))
    return duration


def with_key(state: ProposedState, key: str, expires: float | None = None) -> ProposedState:
    """Return ``state`` with a cache key, for ``expires`` seconds."""
    keyed = ProposedState(cache_key=key, cache_expiration=None if expires is None else seconds(expires))
    keyed.MergeFrom(state)
    return keyed


def with_result(state: ProposedState, result: bytes) -> ProposedState:
    """Return ``state`` with inline data."""
    full = ProposedState(data=Data(encoding="json", inline=result, size_bytes=len(result)))
    full.MergeFrom(state)
    return full


def retry_policy(retries: int, delays: Iterable[Duration] = (), jitter_factor: float = 0.0) -> RetryPolicy:
    """Return the policy of a run that is retried ``retries`` times."""
    return RetryPolicy(max_attempts=retries + 1, delays=delays, jitter_factor=jitter_factor)


def _spec(given: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a spec, with those for retries combined to a policy."""
    policy = [given.pop(name, other) for name, other in (("retries", 0), ("retry_delays", ()))]
    policy.append(given.pop("retry_jitter_factor", 0.0))
    return given | {"retry_policy": retry_policy(*policy)} if policy[0] else given


def task_spec(flow_run_id: str, **more: Any) -> TaskRunSpec:
    """Return the spec of a new task run."""
    given = {"id": new_id(), "task_key": "work", "dynamic_key": new_id()} | more
    return TaskRunSpec(flow_run_id=flow_run_id, **_spec(given))


def start(flow_run_id: str, state: ProposedState = RUNNING, **more: Any) -> Proposal:
    """Return the proposal to create a task run and move it to ``state``."""
    return Proposal(id=new_id(), create_task_run=task_spec(flow_run_id, **more), state=state)


def move(task_run_id: str, state: ProposedState, proposal_id: str = "") -> Proposal:
    """Return the proposal to move a task run to a state."""
    return Proposal(id=proposal_id or new_id(), task_run_id=task_run_id, state=state)


def move_flow(flow_run_id: str, state: ProposedState) -> Proposal:
    """Return the proposal to move a flow run to a state."""
    return Proposal(id=new_id(), flow_run_id=flow_run_id, state=state)


def create_flow(client: Client, **more: Any) -> FlowRun:
    """Create a flow run."""
    spec = FlowRunSpec(**_spec({"id": new_id(), "flow_name": "flow"} | more))
    return client.stub.CreateFlowRun(CreateFlowRunRequest(flow_run=spec)).flow_run


def create_task(
    client: Client, flow_run_id: str, initial: ProposedState | None = None, **more: Any
) -> TaskRun:
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
