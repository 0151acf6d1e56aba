"""The bare limits: a gRPC echo server, a SQLite file that commits the same rows, sleeping threads."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc.aio

from benchmarks.rows import Rows
from benchmarks.work import proposals, unary_endings
from clearway.v1 import proposal_pb2
from clearway_service.engine.clock import new_id
from clearway_service.store import schema
from clearway_service.store.database import Database

_STREAM = "/bare.Echo/Stream"
_UNARY = "/bare.Echo/Unary"


async def echo_server() -> None:
    """Serve a stream and a unary call with empty responses; print the port, and run forever."""

    async def stream(request_iterator: object, context: grpc.aio.ServicerContext[object, object]) -> None:
        del request_iterator
        while isinstance(message := await context.read(), proposal_pb2.ProposeRequest):
            decisions = [proposal_pb2.Decision(proposal_id=each.id) for each in message.proposals]
            await context.write(proposal_pb2.ProposeResponse(decisions=decisions))

    async def unary(
        request: proposal_pb2.SetTaskRunStateRequest, _context: object
    ) -> proposal_pb2.SetTaskRunStateResponse:
        return proposal_pb2.SetTaskRunStateResponse(
            decision=proposal_pb2.Decision(proposal_id=request.proposal_id)
        )

    handlers: dict[str, Any] = {
        "Stream": grpc.stream_stream_rpc_method_handler(
            stream,
            request_deserializer=proposal_pb2.ProposeRequest.FromString,
            response_serializer=proposal_pb2.ProposeResponse.SerializeToString,
        ),
        "Unary": grpc.unary_unary_rpc_method_handler(
            unary,
            request_deserializer=proposal_pb2.SetTaskRunStateRequest.FromString,
            response_serializer=proposal_pb2.SetTaskRunStateResponse.SerializeToString,
        ),
    }
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bare.Echo", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


class SqliteFile:
    """A SQLite file with the service's schema, for committing rows of runs and states directly."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._database = Database(Path(self._folder.name) / "bare.db")
        self._runs, self._states = Rows(schema.task_run), Rows(schema.state)
        self._driver: sqlite3.Connection = self._database.driver

    def commit(self, transitions: int, batch: int) -> float:
        """Commit the rows of ``transitions`` transitions, ``batch`` per transaction; return the seconds."""
        flow = new_id()
        rows = [self._rows(flow, number) for number in range(transitions)]
        started = time.perf_counter()
        for first in range(0, transitions, batch):
            chunk = rows[first : first + batch]
            self._driver.execute("BEGIN IMMEDIATE")
            self._driver.executemany(self._runs.sql, [run for run, _ in chunk])
            self._driver.executemany(self._states.sql, [state for _, state in chunk])
            self._driver.execute("COMMIT")
        return time.perf_counter() - started

    def _rows(self, flow: str, number: int) -> tuple[tuple[object, ...], tuple[object, ...]]:
        run, state, now = new_id(), new_id(), time.time_ns() // 1000
        return (
            self._runs.row(
                id=run,
                flow_run_id=flow,
                task_key="bare",
                dynamic_key=str(number),
                name=f"bare-{number}",
                tags="[]",
                retry_delays="[]",
                inputs="[]",
                created=now,
                state_id=state,
                state_type=3,
                state_name="Running",
                ordinal=1,
                run_count=1,
                start_time=now,
            ),
            self._states.row(
                id=state, kind="task", run_id=run, ordinal=1, type=3, name="Running", timestamp=now, answer=1
            ),
        )


def sleeps(times: int, seconds: float, threads: int) -> float:
    """Return the milliseconds that ``times`` sleeps take in a pool of ``threads`` threads."""
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(time.sleep, [0.0] * threads))  # starts them
        begun = time.perf_counter()
        list(pool.map(time.sleep, [seconds] * times))
        return (time.perf_counter() - begun) * 1e3


async def echo_rate(address: str, items: int, a_message: int) -> float:
    """Return proposals per second of the echo, ``a_message`` at a time and many messages in flight."""
    async with grpc.aio.insecure_channel(address) as channel:
        call = _open(channel)
        messages = [
            proposal_pb2.ProposeRequest(proposals=proposals(new_id(), a_message))
            for _ in range(items // a_message)
        ]
        started = time.perf_counter()

        async def read() -> None:
            for _ in messages:
                await call.read()

        reading = asyncio.create_task(read())
        for message in messages:
            await call.write(message)
        await reading
        return len(messages) * a_message / (time.perf_counter() - started)


async def echo_round_trip(address: str, times: int) -> float:
    """Return the median milliseconds of one proposal's way through the echo and back."""
    async with grpc.aio.insecure_channel(address) as channel:
        call = _open(channel)
        taken = []
        for proposal in proposals(new_id(), times):
            started = time.perf_counter()
            await call.write(proposal_pb2.ProposeRequest(proposals=[proposal]))
            await call.read()
            taken.append(time.perf_counter() - started)
        return sorted(taken)[times // 2] * 1e3


async def echo_unary(address: str, times: int) -> float:
    """Return the median milliseconds of one unary call that carries a proposal, and its answer."""
    async with grpc.aio.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(
            _UNARY,
            request_serializer=proposal_pb2.SetTaskRunStateRequest.SerializeToString,
            response_deserializer=proposal_pb2.SetTaskRunStateResponse.FromString,
        )
        taken = []
        for request in unary_endings(proposals(new_id(), times)):
            started = time.perf_counter()
            await call(request)
            taken.append(time.perf_counter() - started)
        return sorted(taken)[times // 2] * 1e3


def _open(
    channel: grpc.aio.Channel,
) -> grpc.aio.StreamStreamCall[proposal_pb2.ProposeRequest, proposal_pb2.ProposeResponse]:
    method: grpc.aio.StreamStreamMultiCallable[proposal_pb2.ProposeRequest, proposal_pb2.ProposeResponse] = (
        channel.stream_stream(
            _STREAM,
            request_serializer=proposal_pb2.ProposeRequest.SerializeToString,
            response_deserializer=proposal_pb2.ProposeResponse.FromString,
        )
    )
    return method()


if __name__ == "__main__":
    sys.exit(asyncio.run(echo_server()))
