"""The errand: the sequence of calls by which a forged location could reach the deletion of results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from uuid import UUID

from google.protobuf.message import Message

from clearway.v1.cache_pb2 import CacheFilter, InvalidateCacheRequest
from clearway.v1.flow_run_pb2 import CreateFlowRunRequest, FlowRunSpec
from clearway.v1.proposal_pb2 import SetTaskRunStateRequest
from clearway.v1.result_pb2 import (
    DownloadResultRequest,
    DropOrphanedResultsRequest,
    ListOrphanedResultsRequest,
)
from clearway.v1.state_pb2 import STATE_TYPE_COMPLETED, STATE_TYPE_RUNNING, Data, ProposedState
from clearway.v1.task_run_pb2 import CreateTaskRunRequest, TaskRunSpec
from fuzz.calls import Caller
from fuzz.oracle import Sent
from fuzz.values import DIGESTS, MARK

_ENCODING_AND_SIZE = {"encoding": "json", "size_bytes": 10}


class Errand:
    """Completes runs with a location, invalidates their cache entries, and drops their results.

    Args:
        caller: Sends the calls.
        chance: The random generator for ids.
    """

    def __init__(self, caller: Caller, chance: Random) -> None:
        self._caller, self._chance = caller, chance

    def run(self, location: str, number: str, note: Callable[[Sent], None]) -> int:
        """Send the calls for one location, ignoring errors; return the number of calls."""
        count = 0
        for method, request in self._calls(location):
            self._caller.send(Sent(f"{number}.{count}", method, request.SerializeToString()), note)
            count += 1
        return count

    def _calls(self, location: str) -> Iterator[tuple[str, Message]]:
        flow, run, ran, done = (str(UUID(bytes=self._chance.randbytes(16), version=4)) for _ in range(4))
        key = f"{MARK} errand {run}"
        yield "CreateFlowRun", CreateFlowRunRequest(flow_run=FlowRunSpec(id=flow, flow_name="errand"))
        spec = TaskRunSpec(id=run, flow_run_id=flow, task_key="errand", dynamic_key="0")
        yield "CreateTaskRun", CreateTaskRunRequest(task_run=spec)
        running = ProposedState(type=STATE_TYPE_RUNNING, cache_key=key)
        yield "SetTaskRunState", SetTaskRunStateRequest(proposal_id=ran, task_run_id=run, state=running)
        digest = self._chance.choice(["", DIGESTS[0], location[-64:] if len(location) >= 64 else ""])
        hex_only = digest if set(digest) <= set("0123456789abcdef") else ""
        data = Data(location=location, sha256=hex_only, **_ENCODING_AND_SIZE)  # type: ignore[arg-type]
        completed = ProposedState(type=STATE_TYPE_COMPLETED, cache_key=key, data=data)
        yield "SetTaskRunState", SetTaskRunStateRequest(proposal_id=done, task_run_id=run, state=completed)
        yield "DownloadResult", DownloadResultRequest(location=location)
        yield "InvalidateCache", InvalidateCacheRequest(filter=CacheFilter(key=key))
        listing, dropping = ListOrphanedResultsRequest(), DropOrphanedResultsRequest(state_ids=[done])
        listing.older_than.SetInParent()
        dropping.older_than.SetInParent()
        yield "ListOrphanedResults", listing
        yield "DropOrphanedResults", dropping
