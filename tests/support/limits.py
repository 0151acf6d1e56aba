"""Shorthands for setting limits and listing their holders."""

from __future__ import annotations

from clearway.v1.concurrency_limit_pb2 import (
    ConcurrencyLimit,
    GetConcurrencyLimitRequest,
    SetConcurrencyLimitRequest,
)
from clearway.v1.explanation_pb2 import ExplainTaskRunRequest, ExplainTaskRunResponse
from support.client import Client
from support.proposals import new_id


def set_limit(client: Client, slots: int, tag: str = "") -> str:
    """Set the limit of ``tag``, by default a new unique tag; return the tag."""
    tag = tag or f"tag-{new_id()}"
    client.stub.SetConcurrencyLimit(SetConcurrencyLimitRequest(tag=tag, limit=slots))
    return tag


def get_limit(client: Client, tag: str) -> ConcurrencyLimit:
    """Return the limit of ``tag``."""
    return client.stub.GetConcurrencyLimit(GetConcurrencyLimitRequest(tag=tag)).concurrency_limit


def held_by(client: Client, tag: str) -> list[str]:
    """Return the task runs that hold a slot of ``tag``, longest-held first."""
    return [holder.task_run_id for holder in get_limit(client, tag).holders]


def explain(client: Client, task_run_id: str) -> ExplainTaskRunResponse:
    """Return the explanation of a task run's state."""
    return client.stub.ExplainTaskRun(ExplainTaskRunRequest(id=task_run_id))
