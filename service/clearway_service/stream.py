"""The stream: a client's conversation over gRPC."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any

import grpc.aio

from clearway.v1 import proposal_pb2
from clearway_service.connection import Connection
from clearway_service.engine import Engine
from clearway_service.errors import ProtocolError, SessionExpiredError, ShuttingDownError
from clearway_service.handlers import validation as valid
from clearway_service.pipeline import MAX_PROPOSALS

# At most this many decisions share a message, so that the first one is not kept waiting.
_MAX_DECISIONS = 256
# With more undecided proposals than this, the client is not read from: its flow control holds it back.
_MAX_UNDECIDED = 8_192

Context = grpc.aio.ServicerContext[proposal_pb2.ProposeRequest, proposal_pb2.ProposeResponse]


class Stream:
    """One open ``Propose`` call.

    Args:
        engine: Decides.
        context: The call.
    """

    def __init__(self, engine: Engine, context: Context) -> None:
        self._engine = engine
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._outbox: deque[proposal_pb2.Decision] = deque()
        self._pongs: deque[int] = deque()
        self._pending = asyncio.Event()
        self._notified = False
        self._finished = False
        self._reader: asyncio.Task[bool] | None = None
        self._stopping = False
        self._expired = False
        self._done = asyncio.Event()

    async def stop(self) -> None:
        """Take no more messages, answer what was proposed, and return when the stream has ended."""
        self._stop_reading()
        await self._done.wait()

    async def serve(self) -> None:
        """Converse until the client has closed its side and has all its answers.

        Raises:
            ClearwayError: The client broke the protocol, its session has expired, or the service goes down.
        """
        try:
            await self._serve()
        finally:
            self._done.set()

    async def _serve(self) -> None:
        first = await self._context.read()
        if not isinstance(first, proposal_pb2.ProposeRequest):
            return
        if not first.HasField("hello"):
            raise ProtocolError("the stream's first message has no hello; send one before proposals", "hello")
        connection = await asyncio.to_thread(
            self._engine.connect, first.hello, self._deliver, self._on_expiry
        )
        left = connection.lose
        writer = asyncio.create_task(self._write())
        try:
            await self._context.write(proposal_pb2.ProposeResponse(welcome=connection.welcome))
            goodbye = await self._take(connection, first) or await self._read_until_stopped(connection)
            await asyncio.wrap_future(connection.settled())
            if goodbye:
                await asyncio.wrap_future(connection.end())
                left = _nothing
            await self._drain(writer)
            if self._expired:
                raise SessionExpiredError(f"session {connection.session_id} has ended; open a new one")
            if self._stopping and not goodbye:
                raise ShuttingDownError("the service is going down; connect again and resume the session")
        finally:
            writer.cancel()
            if self._reader is not None:
                self._reader.cancel()
            left()

    async def _read_until_stopped(self, connection: Connection) -> bool:
        self._reader = asyncio.create_task(self._read(connection))
        if self._stopping:
            self._reader.cancel()
        await asyncio.wait([self._reader])
        if self._reader.cancelled():
            return False
        return self._reader.result()

    async def _read(self, connection: Connection) -> bool:
        """Take messages until the client closes its side; return whether it said goodbye."""
        while True:
            message: Any = await self._context.read()
            if not isinstance(message, proposal_pb2.ProposeRequest):
                return False
            if message.HasField("hello"):
                raise ProtocolError("hello came a second time; it opens the stream and is sent once", "hello")
            if await self._take(connection, message):
                return True
            if connection.undecided() > _MAX_UNDECIDED:
                await asyncio.wrap_future(connection.settled())

    async def _take(self, connection: Connection, message: proposal_pb2.ProposeRequest) -> bool:
        connection.heard = time.monotonic()
        valid.items("proposals", len(message.proposals), MAX_PROPOSALS)
        valid.items("withdrawals", len(message.withdrawals), MAX_PROPOSALS)
        if message.withdrawals:
            ids = [valid.required_id("withdrawals", id_) for id_ in message.withdrawals]
            connection.withdraw(ids)
        if message.ping:
            self._pongs.append(message.ping)
            self._notify()
        if message.proposals:
            connection.propose(message.proposals)
        return message.goodbye

    def _deliver(self, decisions: list[proposal_pb2.Decision]) -> None:
        """Queue decisions for the client. Called on the engine's thread."""
        self._outbox.extend(decisions)
        self._notify()

    def _notify(self) -> None:
        """Wake the writer, once for all that comes until it looks. Safe from any thread."""
        if not self._notified:
            self._notified = True
            self._loop.call_soon_threadsafe(self._pending.set)

    def _on_expiry(self, _connection: Connection) -> None:
        """Be told, on the engine's threads, that the session has ended: the client has to open a new one."""
        self._expired = True
        self._loop.call_soon_threadsafe(self._stop_reading)

    def _stop_reading(self) -> None:
        self._stopping = True
        if self._reader is not None:
            self._reader.cancel()

    async def _write(self) -> None:
        """Send what is pending whenever the message before has left."""
        while not (self._finished and not self._outbox):
            if not (self._outbox or self._pongs):
                await self._pending.wait()
            self._pending.clear()
            self._notified = False
            while self._pongs:
                await self._context.write(proposal_pb2.ProposeResponse(pong=self._pongs.popleft()))
            while self._outbox:
                count = min(len(self._outbox), _MAX_DECISIONS)
                decisions = [self._outbox.popleft() for _ in range(count)]
                await self._context.write(proposal_pb2.ProposeResponse(decisions=decisions))

    async def _drain(self, writer: asyncio.Task[None]) -> None:
        self._finished = True
        self._pending.set()
        await writer


def _nothing() -> None:
    """Do nothing: the session has ended already."""
