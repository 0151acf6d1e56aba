"""The service over gRPC: throughput of transitions, and latency of single proposals."""

from __future__ import annotations

import asyncio
import time

import grpc.aio

from benchmarks.work import endings, proposals, unary_endings
from clearway.v1 import flow_run_pb2, orchestrator_pb2_grpc, proposal_pb2

_A_MESSAGE = 256


async def transitions_rate(address: str, tasks: int) -> float:
    """Return transitions per second for ``tasks`` started and completed, all in flight at once."""
    async with grpc.aio.insecure_channel(address) as channel:
        call, flow = await open_stream(channel)
        started = proposals(flow, tasks)
        rest = 2 * tasks

        async def read() -> None:
            nonlocal rest
            while rest:
                message = await call.read()
                assert isinstance(message, proposal_pb2.ProposeResponse)
                assert all(decision.HasField("accept") for decision in message.decisions)
                rest -= len(message.decisions)

        ended = endings(started)
        begun = time.perf_counter()
        reading = asyncio.create_task(read())
        for batch in (started, ended):
            for first in range(0, tasks, _A_MESSAGE):
                message = proposal_pb2.ProposeRequest(proposals=batch[first : first + _A_MESSAGE])
                await call.write(message)
        await reading
        rate = 2 * tasks / (time.perf_counter() - begun)
        await call.write(proposal_pb2.ProposeRequest(goodbye=True))
        return rate


async def proposal_latency(address: str, times: int) -> float:
    """Return the median milliseconds from sending one proposal to its decision, one at a time."""
    async with grpc.aio.insecure_channel(address) as channel:
        call, flow = await open_stream(channel)
        taken = []
        for proposal in proposals(flow, times):
            begun = time.perf_counter()
            await call.write(proposal_pb2.ProposeRequest(proposals=[proposal]))
            await call.read()
            taken.append(time.perf_counter() - begun)
        await call.write(proposal_pb2.ProposeRequest(goodbye=True))
        return sorted(taken)[times // 2] * 1e3


async def unary_latency(address: str, times: int) -> float:
    """Return the median milliseconds of a ``SetTaskRunState`` call, one at a time."""
    async with grpc.aio.insecure_channel(address) as channel:
        call, flow = await open_stream(channel)
        started = proposals(flow, times)
        await call.write(proposal_pb2.ProposeRequest(proposals=started))
        rest = times
        while rest:
            message = await call.read()
            assert isinstance(message, proposal_pb2.ProposeResponse)
            rest -= len(message.decisions)
        stub = orchestrator_pb2_grpc.OrchestratorStub(channel)
        taken = []
        for request in unary_endings(started):
            begun = time.perf_counter()
            answer = await stub.SetTaskRunState(request)
            taken.append(time.perf_counter() - begun)
            assert answer.decision.HasField("accept")
        await call.write(proposal_pb2.ProposeRequest(goodbye=True))
        return sorted(taken)[times // 2] * 1e3


async def open_stream(
    channel: grpc.aio.Channel,
) -> tuple[grpc.aio.StreamStreamCall[proposal_pb2.ProposeRequest, proposal_pb2.ProposeResponse], str]:
    """Open a stream; return it and the id of a new flow run."""
    stub = orchestrator_pb2_grpc.OrchestratorStub(channel)
    request = flow_run_pb2.CreateFlowRunRequest(flow_run=flow_run_pb2.FlowRunSpec(flow_name="benchmark"))
    flow = (await stub.CreateFlowRun(request)).flow_run.spec.id
    call = stub.Propose()
    await call.write(proposal_pb2.ProposeRequest(hello=proposal_pb2.Hello(client_name="benchmark")))
    await call.read()
    return call, flow
