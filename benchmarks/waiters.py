"""The server's memory per waiter."""

from __future__ import annotations

import tempfile
from pathlib import Path

import grpc.aio
import psutil

from benchmarks.stream import open_stream
from benchmarks.work import proposals
from clearway.v1 import concurrency_limit_pb2, orchestrator_pb2_grpc, proposal_pb2
from support.server import Server

_TAG = "waiters"
_A_MESSAGE = 256


async def bytes_per_waiter(waiters: int) -> float:
    """Return the memory growth of a new server, in bytes, per run that waits for a tag."""
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder) / "server.db") as server:
        async with grpc.aio.insecure_channel(server.address) as channel:
            limit = concurrency_limit_pb2.SetConcurrencyLimitRequest(tag=_TAG, limit=1)
            await orchestrator_pb2_grpc.OrchestratorStub(channel).SetConcurrencyLimit(limit)
            call, flow = await open_stream(channel)
            process = psutil.Process(server.pid)
            await _wait(call, flow, _A_MESSAGE)  # one-time loading and growth
            before = process.memory_info().rss
            await _wait(call, flow, waiters)
            grown = process.memory_info().rss - before
            await call.write(proposal_pb2.ProposeRequest(goodbye=True))
            return grown / waiters


async def _wait(
    call: grpc.aio.StreamStreamCall[proposal_pb2.ProposeRequest, proposal_pb2.ProposeResponse],
    flow: str,
    waiters: int,
) -> None:
    """Make ``waiters`` runs wait for the tag."""
    started = proposals(flow, waiters)
    for proposal in started:
        proposal.create_task_run.tags.append(_TAG)
    for first in range(0, waiters, _A_MESSAGE):
        batch = started[first : first + _A_MESSAGE]
        await call.write(proposal_pb2.ProposeRequest(proposals=batch))
        rest = len(batch)
        while rest:
            message = await call.read()
            assert isinstance(message, proposal_pb2.ProposeResponse)
            rest -= len(message.decisions)
