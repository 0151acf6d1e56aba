"""The latency of a slot hand-off in the engine while many runs wait."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.work import endings, proposals
from clearway.v1 import concurrency_limit_pb2, flow_run_pb2, proposal_pb2
from clearway_service.service import Service
from clearway_service.settings import ServiceSettings

_TAG = "queue"
_HANDOFFS = 100


class _Client:
    """Collects decisions, and waits for them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._accepted: set[str] = set()
        self._queued: set[str] = set()

    def deliver(self, response: proposal_pb2.ProposeResponse) -> None:
        decisions = response.decisions
        with self._changed:
            self._accepted.update(each.proposal_id for each in decisions if each.HasField("accept"))
            self._queued.update(each.proposal_id for each in decisions if each.HasField("wait"))
            self._changed.notify_all()

    def await_accepted(self, id_: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: id_ in self._accepted, 60)

    def await_queued(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._queued) >= count, 60)


def queue_handoff(waiters: int) -> float:
    """Return the median milliseconds from a run's end to the next one's start while ``waiters`` wait."""
    with tempfile.TemporaryDirectory() as folder:
        service = Service(ServiceSettings(database=Path(folder) / "queue.db"))
        try:
            return asyncio.run(_measure(service, waiters))
        finally:
            service.close()


async def _measure(service: Service, waiters: int) -> float:
    orchestrator = service.orchestrator
    request = flow_run_pb2.CreateFlowRunRequest(flow_run=flow_run_pb2.FlowRunSpec(flow_name="queue"))
    flow_run_id = (await orchestrator.CreateFlowRun(request)).flow_run.spec.id
    limit = concurrency_limit_pb2.SetConcurrencyLimitRequest(tag=_TAG, limit=1)
    await orchestrator.SetConcurrencyLimit(limit)
    client = _Client()
    connection = service.connector.connect(proposal_pb2.Hello(client_name="benchmark"), client.deliver)
    started = proposals(flow_run_id, waiters + _HANDOFFS + 1)
    for proposal in started:
        proposal.create_task_run.tags.append(_TAG)
    connection.propose(started)
    client.await_accepted(started[0].id)
    client.await_queued(len(started) - 1)
    taken = []
    for ending, following in zip(endings(started), started[1 : _HANDOFFS + 1], strict=False):
        begun = time.perf_counter()
        connection.propose([ending])
        client.await_accepted(following.id)
        taken.append((time.perf_counter() - begun) * 1e3)
    return sorted(taken)[len(taken) // 2]
