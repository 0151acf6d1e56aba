"""The bare limits: a gRPC stream that echoes, and a SQLite file that commits the same rows."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

import grpc.aio

from benchmarks.work import proposals
from clearway.v1 import proposal_pb2
from clearway_service.clock import new_id
from clearway_service.store import statements
from clearway_service.store.database import migrate
from clearway_service.store.sqlite import writer_engine

METHOD = "/bare.Echo/Echo"


async def echo_server() -> None:
    """Serve a stream that answers each message with as many empty decisions; print the port, never return."""

    async def echo(request_iterator: object, context: grpc.aio.ServicerContext[object, object]) -> None:
        del request_iterator
        while isinstance(message := await context.read(), proposal_pb2.ProposeRequest):
            decisions = [proposal_pb2.Decision(proposal_id=each.id) for each in message.proposals]
            await context.write(proposal_pb2.ProposeResponse(decisions=decisions))

    handler = grpc.stream_stream_rpc_method_handler(
        echo,
        request_deserializer=proposal_pb2.ProposeRequest.FromString,
        response_serializer=proposal_pb2.ProposeResponse.SerializeToString,
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bare.Echo", {"Echo": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


class SqliteFile:
    """A SQLite file with the service's schema, to which rows of runs and states are committed bare."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        engine = writer_engine(Path(self._folder.name) / "bare.db")
        self._connection = engine.connect()
        migrate(self._connection)
        self._driver: sqlite3.Connection = self._connection.connection.driver_connection  # type: ignore[assignment]

    def commit(self, transitions: int, batch: int) -> float:
        """Commit the rows of ``transitions`` transitions, ``batch`` in a transaction; return the seconds."""
        flow = new_id()
        rows = [_rows(flow, number) for number in range(transitions)]
        started = time.perf_counter()
        for first in range(0, transitions, batch):
            chunk = rows[first : first + batch]
            self._driver.execute("BEGIN IMMEDIATE")
            self._driver.executemany(statements.INSERT_TASK_RUN, [run for run, _ in chunk])
            self._driver.executemany(statements.INSERT_STATE, [state for _, state in chunk])
            self._driver.execute("COMMIT")
        return time.perf_counter() - started


def _rows(flow: str, number: int) -> tuple[tuple[object, ...], tuple[object, ...]]:
    run, state, now = new_id(), new_id(), time.time_ns() // 1000
    progress = (state, 3, "Running", "", 1, 1, None, now, None, 0)
    return (
        (run, flow, "bare", str(number), f"bare-{number}", "", "[]", 0, "", 0.0, "[]", 0, "", now, *progress),
        (state, "task", run, 1, 3, "Running", now, "", None, None, "", None, 1, ""),
    )


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


def _open(
    channel: grpc.aio.Channel,
) -> grpc.aio.StreamStreamCall[proposal_pb2.ProposeRequest, proposal_pb2.ProposeResponse]:
    method: grpc.aio.StreamStreamMultiCallable[proposal_pb2.ProposeRequest, proposal_pb2.ProposeResponse] = (
        channel.stream_stream(
            METHOD,
            request_serializer=proposal_pb2.ProposeRequest.SerializeToString,
            response_deserializer=proposal_pb2.ProposeResponse.FromString,
        )
    )
    return method()


if __name__ == "__main__":
    sys.exit(asyncio.run(echo_server()))
