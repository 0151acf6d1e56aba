"""Messages that the tests of the transport send, and what they ask."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from clearway._base.ids import new_id
from clearway._transport.protocol import Transport
from clearway._transport.rpcs import (
    CREATE_FLOW_RUN,
    GET_TASK_RUN,
    LIST_TASK_RUN_STATES,
    SET_CONCURRENCY_LIMIT,
)
from clearway.v1.concurrency_limit_pb2 import SetConcurrencyLimitRequest
from clearway.v1.flow_run_pb2 import CreateFlowRunRequest, FlowRunSpec
from clearway.v1.proposal_pb2 import Proposal
from clearway.v1.state_pb2 import STATE_TYPE_COMPLETED, STATE_TYPE_RUNNING, ProposedState, State
from clearway.v1.task_run_pb2 import GetTaskRunRequest, ListTaskRunStatesRequest, TaskRunSpec

SECONDS = 30.0
"""How long a test waits for what must happen; it happens in milliseconds."""


def wait_until(condition: Callable[[], bool]) -> None:
    """Return when a condition holds; look often, and fail after ``SECONDS``."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.01)


def create_flow_run(transport: Transport) -> str:
    """Create a flow run and enter Running; return its id."""
    flow_run_id = new_id()
    request = CreateFlowRunRequest(flow_run=FlowRunSpec(id=flow_run_id, flow_name="flow"))
    CREATE_FLOW_RUN.start(transport, request).result(SECONDS)
    running = Proposal(id=new_id(), flow_run_id=flow_run_id, state=ProposedState(type=STATE_TYPE_RUNNING))
    assert transport.propose(running).result(SECONDS).HasField("accept")
    return flow_run_id


def start_task(flow_run_id: str, key: object, *tags: str, **spec: Any) -> Proposal:
    """Return the proposal that creates a task run and starts it."""
    return Proposal(
        id=new_id(),
        create_task_run=TaskRunSpec(
            id=new_id(),
            flow_run_id=flow_run_id,
            task_key="task",
            dynamic_key=str(key),
            tags=tags,
            **spec,
        ),
        state=ProposedState(type=STATE_TYPE_RUNNING),
    )


def complete_task(task_run_id: str) -> Proposal:
    """Return the proposal that completes a task run."""
    return Proposal(id=new_id(), task_run_id=task_run_id, state=ProposedState(type=STATE_TYPE_COMPLETED))


def set_limit(transport: Transport, tag: str, limit: int) -> None:
    """Set the limit of a tag."""
    SET_CONCURRENCY_LIMIT.start(transport, SetConcurrencyLimitRequest(tag=tag, limit=limit)).result(SECONDS)


def history(transport: Transport, task_run_id: str) -> list[str]:
    """Return the names of all states that a task run was in."""
    request = ListTaskRunStatesRequest(task_run_id=task_run_id)
    return [state.name for state in LIST_TASK_RUN_STATES.start(transport, request).result(SECONDS).states]


def state_of(transport: Transport, task_run_id: str) -> State:
    """Return the state that a task run is in."""
    return GET_TASK_RUN.start(transport, GetTaskRunRequest(id=task_run_id)).result(SECONDS).task_run.state
