"""The hoard: a history and a limit too large for one message, and all RPCs that read them."""

from __future__ import annotations

import grpc

from clearway.v1.concurrency_limit_pb2 import (
    GetConcurrencyLimitRequest,
    ResetConcurrencyLimitRequest,
    SetConcurrencyLimitRequest,
)
from clearway.v1.explanation_pb2 import ExplainTaskRunRequest
from clearway.v1.orchestrator_pb2_grpc import OrchestratorStub
from clearway.v1.proposal_pb2 import Hello, Proposal, ProposeRequest
from clearway.v1.state_pb2 import ProposedState
from clearway.v1.task_run_pb2 import (
    GetTaskRunRequest,
    ListTaskRunsRequest,
    ListTaskRunStatesRequest,
    TaskRunFilter,
)
from fuzz.oracle import Findings
from fuzz.pool import Pool
from fuzz.values import MARK
from support.client import Client, Stream
from support.proposals import PENDING, RUNNING, create_flow, move, new_id, start, with_result

HOARD_TAG = "hoard"
_HOLDERS = 4_000
_STATES = 80
_SECONDS = 60.0
_LONG_NAME = "\U0001d54f" * 250  # four bytes each
_LARGE = with_result(ProposedState(type=PENDING.type, message=f"{MARK} " + "x" * 16_000), b"y" * 60_000)


class Hoard:
    """Creates large data, and reads it with a client that has the default message size limit.

    Args:
        address: The server's address.
        pool: Gets the ids that fuzzers must not use.
        findings: Collects violations.
    """

    def __init__(self, address: str, pool: Pool, findings: Findings) -> None:
        self._address, self._pool, self._findings = address, pool, findings

    def check(self) -> int:
        """Create the data and read it; return the number of messages sent."""
        with Client(self._address) as client, grpc.insecure_channel(self._address) as channel:
            flow = create_flow(client).spec.id
            client.stub.SetConcurrencyLimit(SetConcurrencyLimitRequest(tag=HOARD_TAG, limit=_HOLDERS))
            stream = client.open("hoard")
            runs = [start(flow, name=_LONG_NAME, tags=[HOARD_TAG]) for _ in range(_HOLDERS + 1)]
            self._pool.others |= {flow, *(each.create_task_run.id for each in runs)}
            stream.propose(*runs)
            waits = [each.id for each in runs if stream.decision(each.id).wait.queued]
            assert len(waits) == 1, f"{len(waits)} of {len(runs)} wait"
            large = self._write_history(stream, flow)
            waiting = next(each.create_task_run.id for each in runs if each.id == waits[0])
            self._read(OrchestratorStub(channel), large, waiting)
            count = self._replay(channel, runs)
            stream.say_goodbye()
        return len(runs) + _STATES + count

    def _write_history(self, stream: Stream, flow: str) -> str:
        first = start(flow, PENDING)
        run = first.create_task_run.id
        self._pool.others.add(run)
        for proposal in (first, *(move(run, _LARGE) for _ in range(_STATES))):
            assert stream.decide(proposal).HasField("accept")
        return run

    def _read(self, stub: OrchestratorStub, large: str, waiting: str) -> None:
        for method, request in (
            ("GetTaskRun", GetTaskRunRequest(id=large)),
            ("ListTaskRunStates", ListTaskRunStatesRequest(task_run_id=large)),
            ("ListTaskRuns", ListTaskRunsRequest(filter=TaskRunFilter(tags=[HOARD_TAG]), page_size=1_000)),
            ("GetConcurrencyLimit", GetConcurrencyLimitRequest(tag=HOARD_TAG)),
            ("ExplainTaskRun", ExplainTaskRunRequest(id=waiting)),
            ("ResetConcurrencyLimit", ResetConcurrencyLimitRequest(tag=HOARD_TAG)),
        ):
            try:
                getattr(stub, method)(request, timeout=_SECONDS)
            except grpc.RpcError as error:
                what = f"{error.code().name}: {error.details()}"  # type: ignore[attr-defined]
                self._findings.add(
                    f"{method}: what is large cannot be read", f"{what[:300]} (see fuzz.hoard)"
                )

    def _replay(self, channel: grpc.Channel, runs: list[Proposal]) -> int:
        """Send all proposals again, on a stream with the default message size limit."""
        hello = ProposeRequest(hello=Hello(client_name="hoard"))
        again = ProposeRequest(proposals=[*runs[:-1], *(_again(each) for each in runs[-1:])])
        answered = 0
        try:
            for response in OrchestratorStub(channel).Propose(iter([hello, again]), timeout=_SECONDS):
                answered += len(response.decisions)
        except grpc.RpcError as error:
            what = f"{error.code().name}: {error.details()}"  # type: ignore[attr-defined]
            self._findings.add("Propose: what is large cannot be replayed", f"{what[:300]} (see fuzz.hoard)")
        return answered


def _again(proposal: Proposal) -> Proposal:
    """Return a proposal for the same run under a new id, since the run may wait on another stream."""
    return Proposal(id=new_id(), task_run_id=proposal.create_task_run.id, state=RUNNING)
