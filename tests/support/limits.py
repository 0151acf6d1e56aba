"""Short ways to set limits and to see who holds them."""

from __future__ import annotations

from clearway.v1.concurrency_limit_pb2 import (
    ConcurrencyLimit,
    CreateConcurrencyLimitRequest,
    GetConcurrencyLimitByTagRequest,
)
from clearway.v1.explanation_pb2 import ExplainTaskRunRequest, ExplainTaskRunResponse
from support.client import Client
from support.proposals import new_id


def set_limit(client: Client, slots: int, tag: str = "") -> str:
    """Set the limit of ``tag``, of one that nobody else has by default; return the tag."""
    tag = tag or f"tag-{new_id()}"
    client.stub.CreateConcurrencyLimit(CreateConcurrencyLimitRequest(tag=tag, limit=slots))
    return tag


def get_limit(client: Client, tag: str) -> ConcurrencyLimit:
    """Return the limit of ``tag``."""
    return client.stub.GetConcurrencyLimitByTag(GetConcurrencyLimitByTagRequest(tag=tag)).concurrency_limit


def explain(client: Client, task_run_id: str) -> ExplainTaskRunResponse:
    """Return why a task run is where it is."""
    return client.stub.ExplainTaskRun(ExplainTaskRunRequest(id=task_run_id))
