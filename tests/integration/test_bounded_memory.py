"""The memory of a server whose clients ask for much, and do not read the responses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from clearway.v1.flow_run_pb2 import GetFlowRunRequest
from clearway.v1.orchestrator_pb2_grpc import OrchestratorStub
from clearway.v1.proposal_pb2 import Hello, Proposal, ProposeRequest
from support.client import Client
from support.proposals import RUNNING, create_flow, move, scheduled, start, with_result
from support.server import Server
from support.waiting import DEADLINE_SECONDS

MIB = 1024 * 1024
CLIENT, INFLIGHT, MESSAGE = 4 * MIB, 8 * MIB, 4 * MIB
BUDGET = {
    "CLEARWAY_MAX_CLIENT_BYTES": str(CLIENT),
    "CLEARWAY_MAX_INFLIGHT_BYTES": str(INFLIGHT),
    "CLEARWAY_MAX_MESSAGE_BYTES": str(MESSAGE),
}
# What one turn loads, decides and writes, and the copies of a message on its way, are beside the budget.
TURN = 64 * MIB
GREEDY, EACH, A_MESSAGE = 4, 1_000, 250
RESULT = bytes(64 * 1024)
# What does not grow with the number of proposals; the decisions themselves have 256 MiB.
BOUND = INFLIGHT + GREEDY * MESSAGE + TURN


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "server.db", environment=BUDGET) as running:
        yield running


def peak(server: Server) -> int:
    """Return the most memory that the server has had so far, in bytes."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


@asynccontextmanager
async def connected(address: str) -> Any:
    """Yield a stub on a connection of its own, whose window does not grow: what is not read stays there."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.http2.bdp_probe", 0)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        yield OrchestratorStub(channel)


async def opened(stub: Any) -> Any:
    call = stub.Propose()
    await call.write(ProposeRequest(hello=Hello(client_name="tester")))
    assert (await call.read()).HasField("welcome")
    return call


class Greedy:
    """A client that proposes, and reads nothing until ``read`` is called."""

    def __init__(self, call: Any, proposals: list[Proposal]) -> None:
        self._call = call
        self.ids = [proposal.id for proposal in proposals]
        self._proposals = proposals
        self.written = 0

    async def write(self) -> None:
        for first in range(0, len(self._proposals), A_MESSAGE):
            await self._call.write(ProposeRequest(proposals=self._proposals[first : first + A_MESSAGE]))
            self.written += 1

    async def read(self) -> list[str]:
        """Return the ids of the decisions, in the order in which they came."""
        told: list[str] = []
        while len(told) < len(self.ids):
            message = await self._call.read()
            told += [decision.proposal_id for decision in message.decisions]
        return told


async def test_small_proposals_with_large_decisions_take_bounded_memory_and_all_arrive(
    server: Server,
) -> None:
    with Client(server.address) as client:
        flow = create_flow(client).spec.id
        large = with_result(scheduled(timedelta(hours=1)), RESULT)
        runs = [start(flow, large) for _ in range(GREEDY)]
        stream = client.open()
        for run in runs:
            assert stream.decide(run).HasField("accept")
    before = peak(server)
    async with asyncio.timeout(DEADLINE_SECONDS), AsyncExitStack() as stack:
        stub = await stack.enter_async_context(connected(server.address))
        small = await opened(stub)
        greedy = []
        for run in runs:
            theirs = await opened(await stack.enter_async_context(connected(server.address)))
            # Each gets a wait, together with the run's state: 400 times what it proposed.
            asked = [move(run.create_task_run.id, RUNNING) for _ in range(EACH)]
            greedy.append(Greedy(theirs, asked))
        writing = [asyncio.create_task(each.write()) for each in greedy]
        for _ in range(50):
            proposal = start(flow)
            await small.write(ProposeRequest(proposals=[proposal]))
            (decision,) = (await small.read()).decisions
            assert decision.HasField("accept")
            assert (await stub.GetFlowRun(GetFlowRunRequest(id=flow))).flow_run.spec.id == flow
        told = await asyncio.gather(*(each.read() for each in greedy))
        await asyncio.gather(*writing)
    assert told == [each.ids for each in greedy]
    assert peak(server) - before < BOUND
