"""Work: builds the proposals for measurements."""

from __future__ import annotations

from clearway.v1 import proposal_pb2, state_pb2, task_run_pb2
from clearway_service.engine.clock import new_id


def proposals(flow_run_id: str, count: int) -> list[proposal_pb2.Proposal]:
    """Return ``count`` proposals that create a task run and start it."""
    return [
        proposal_pb2.Proposal(
            id=new_id(),
            state=state_pb2.ProposedState(type=state_pb2.STATE_TYPE_RUNNING),
            create_task_run=task_run_pb2.TaskRunSpec(
                id=new_id(), flow_run_id=flow_run_id, task_key="benchmark", dynamic_key=new_id()
            ),
        )
        for _ in range(count)
    ]


def endings(started: list[proposal_pb2.Proposal]) -> list[proposal_pb2.Proposal]:
    """Return the proposals that complete the runs of ``started``."""
    return [
        proposal_pb2.Proposal(
            id=new_id(),
            task_run_id=proposal.create_task_run.id,
            state=state_pb2.ProposedState(type=state_pb2.STATE_TYPE_COMPLETED),
        )
        for proposal in started
    ]


def unary_endings(started: list[proposal_pb2.Proposal]) -> list[proposal_pb2.SetTaskRunStateRequest]:
    """Return the unary requests that complete the runs of ``started``."""
    return [
        proposal_pb2.SetTaskRunStateRequest(
            proposal_id=ending.id, task_run_id=ending.task_run_id, state=ending.state
        )
        for ending in endings(started)
    ]
