"""The stream: a client's conversation over gRPC."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, NamedTuple

import grpc.aio

from clearway.v1 import proposal_pb2
from clearway_service.api import validation as valid
from clearway_service.api.base import MAX_ANSWER_BYTES
from clearway_service.api.connecting import Connector
from clearway_service.api.parsing import parse_awaits
from clearway_service.api.session_connection import MAX_DECISIONS, Connection
from clearway_service.api.slicing import SLICE, parse, slices
from clearway_service.engine.budget import LEAST_BYTES, Budget
from clearway_service.engine.pipeline import MAX_PROPOSALS
from clearway_service.errors import ProtocolError, SessionExpiredError, ShuttingDownError

# Messages that wait to be sent are put together up to this size.
_SHARED_BYTES = 65_536
# Withdrawals and awaits are not answered, so after so many messages with them they are waited for.
_MAX_COMMANDS = 256
# What a pong takes in memory until it is sent.
_PONG_BYTES = 64
# While a client is not read from for what the service has yet to do, how often it is noted that it is there.
_HEARD_SECONDS = 1.0
# While the total is used up, large messages are taken one after the other: how long one of them may keep the
# next waiting because it is slow to arrive, and because it is not decided.
_ARRIVAL_SECONDS = 0.5
_DECIDED_SECONDS = 1.0
# How long a call may say nothing at its beginning: it takes memory, and has no session whose lease would end.
HELLO_SECONDS = 30.0
# How long a client whose session has expired may take to read its decisions, before they are dropped.
EXPIRED_SECONDS = 5.0
# How long after its end for reading a call that broke is cancelled, at most; mostly it is the same moment.
_CANCELLED_SECONDS = 0.05

# What is read is not parsed yet, and what is sent is serialized already.
Context = grpc.aio.ServicerContext[bytes, bytes]


class _Message(NamedTuple):
    decisions: int
    body: bytes


class Stream:
    """One open ``Propose`` call.

    Args:
        connector: Begins the conversation.
        budget: What clients may have under way.
        context: The call.
    """

    def __init__(self, connector: Connector, budget: Budget, context: Context) -> None:
        self._connector = connector
        self._budget = budget
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._caller = budget.caller()
        self._unparsed = 0
        self._large = False  # the last message
        self._has_turn = False
        self._outbox: deque[_Message] = deque()
        self._pongs: deque[int] = deque()
        self._pending = asyncio.Event()
        self._readable = asyncio.Event()
        self._connection: Connection | None = None
        self._held_back = False
        self._commands = 0
        self._last_command: Future[Any] | None = None
        self._notified = False
        self._finished = False
        self._reader: asyncio.Task[Any] | None = None
        self._stopping = False
        # When decisions of an expired session are dropped, by the loop's clock; None while it is open.
        self._drop_at: float | None = None
        self._ending: asyncio.Timeout | None = None
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
            self._leave()
            self._done.set()

    def _leave(self) -> None:
        """Drop what was not sent, and what is decided from now on."""
        self._caller.leave()
        self._end_turn()
        self._count(-self._unparsed)
        with self._lock:
            self._outbox.clear()

    def _count(self, size: int) -> None:
        """Count bytes that were read and are not parsed yet, or no longer."""
        self._unparsed += size
        self._caller.take_in(size)

    async def _serve(self) -> None:
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                first = await self._until_stopped(self._context.read())
        except TimeoutError:
            raise ProtocolError(
                f"no hello came within {HELLO_SECONDS:g} s; it opens the stream, so send it at once", "hello"
            ) from None
        if self._stopping:
            raise ShuttingDownError("the service is going down; connect again when it is back")
        if not isinstance(first, bytes):
            return
        parts = await self._slices(first)
        del first
        self._end_turn()
        opening = parse(parts[0])
        if not opening.HasField("hello"):
            raise ProtocolError("the stream's first message has no hello; send one before proposals", "hello")
        connection = self._connection = await self._connect(opening.hello)
        left = connection.lose
        writer = asyncio.create_task(self._write())
        try:
            welcome = proposal_pb2.ProposeResponse(welcome=connection.welcome)
            await self._context.write(welcome.SerializeToString())
            goodbye = await self._take(connection, parts, opening)
            del opening
            goodbye = goodbye or await self._until_stopped(self._read(connection))
            # The client of an expired session may not read; then there is never room for its last decisions.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._drop_at) as self._ending:
                    await asyncio.wrap_future(connection.settled())
                    if goodbye:
                        await asyncio.wrap_future(connection.end())
                        left = _nothing
                    elif not self._stopping:
                        # A stream that breaks ends for reading too, and is cancelled right after; what its
                        # client waits for keeps its place then. One whose client closed its side is still
                        # here.
                        await asyncio.sleep(_CANCELLED_SECONDS)
                        await asyncio.wrap_future(connection.leave_queue())
                    await self._drain(writer)
            self._ending = None
            if self._drop_at is not None:
                raise SessionExpiredError(f"session {connection.session_id} has ended; open a new one")
            if self._stopping and not goodbye:
                raise ShuttingDownError("the service is going down; connect again and resume the session")
        finally:
            writer.cancel()
            left()

    async def _connect(self, hello: proposal_pb2.Hello) -> Connection:
        """Begin the conversation; where the call ends meanwhile, the session is left to its lease."""
        # Without a thread, which could be one that is busy with something else.
        connecting = self._connector.begin(hello, self._deliver, self._on_expiry, caller=self._caller)
        try:
            return await asyncio.wrap_future(connecting)
        except asyncio.CancelledError:
            connecting.add_done_callback(_lose)
            raise

    async def _until_stopped(self, reading: Coroutine[Any, Any, Any]) -> Any:
        """Return what ``reading`` returns, or None where the stream is told to stop before."""
        self._reader = asyncio.create_task(reading)
        if self._stopping:
            self._reader.cancel()
        try:
            await asyncio.wait([self._reader])
        finally:
            self._reader.cancel()
        return None if self._reader.cancelled() else self._reader.result()

    async def _read(self, connection: Connection) -> bool:
        """Take messages until the client closes its side; return whether it said goodbye."""
        while True:
            body: Any = await self._receive(connection)
            if not isinstance(body, bytes):
                return False
            parts = await self._slices(body)
            del body
            message = parse(parts[0])
            if message.HasField("hello"):
                raise ProtocolError("hello came a second time; it opens the stream and is sent once", "hello")
            if await self._take(connection, parts, message):
                return True
            del parts, message  # before the next one is waited for
            if self._has_turn:
                await asyncio.wait([asyncio.wrap_future(connection.settled())], timeout=_DECIDED_SECONDS)
                self._end_turn()
            await self._hold_back(connection)

    async def _receive(self, connection: Connection) -> Any:
        """Return the next message, or what says that none follows.

        gRPC takes a message in when it is asked for, before its size is known. So a stream whose last message
        was large asks in its turn while the total is used up.
        """
        if not (self._large and self._budget.full):
            return await self._context.read()
        await self._begin_turn(connection)
        reading = asyncio.ensure_future(self._context.read())
        try:
            if not (await asyncio.wait([reading], timeout=_ARRIVAL_SECONDS))[0]:
                self._end_turn()
            return await reading
        finally:
            reading.cancel()

    async def _slices(self, body: bytes) -> list[bytes]:
        """Return a message in parts, whose bytes are counted until they are taken, unless it is small.

        A large one waits for its turn while the total is used up: its parts are a copy of it.
        """
        self._large = len(body) > LEAST_BYTES
        if self._large:
            self._count(len(body))
            if self._budget.full:
                await self._begin_turn(self._connection)
        parts = slices(body, MAX_PROPOSALS)
        if len(parts) > 1 and not self._large:
            self._count(len(body))
        return parts

    async def _begin_turn(self, connection: Connection | None) -> None:
        """Return when it is this stream's turn with a large message. It is there, although it is not read."""
        if self._has_turn:
            return

        noting = asyncio.create_task(self._note_heard(connection))
        try:
            await self._budget.large.begin(self)
        finally:
            noting.cancel()
        self._has_turn = True

    async def _note_heard(self, connection: Connection | None) -> None:
        while connection is not None:
            await asyncio.sleep(_HEARD_SECONDS)
            if self._caller.room() > 0:
                connection.heard = time.monotonic()

    def _end_turn(self) -> None:
        if self._has_turn:
            self._has_turn = False
            self._budget.large.end()

    async def _hold_back(self, connection: Connection) -> None:
        """Return when the client may say more: what it said is dealt with, and it has taken its decisions."""
        if self._commands >= _MAX_COMMANDS and self._last_command is not None:
            await asyncio.wait([asyncio.wrap_future(self._last_command)])
            self._commands = 0
        if self._caller.may_read():
            return
        self._readable.clear()
        while not self._caller.when_readable(self._set_readable):
            self._held_back = True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._readable.wait(), _HEARD_SECONDS)
            self._readable.clear()
            if self._caller.room() > 0:
                # It has taken its decisions, so it is there, although its pings are not read.
                connection.heard = time.monotonic()
        self._held_back = False

    def _set_readable(self) -> None:
        self._loop.call_soon_threadsafe(self._readable.set)

    async def _take(
        self, connection: Connection, parts: list[bytes], message: proposal_pb2.ProposeRequest
    ) -> bool:
        """Take a message in parts, the first of which is ``message``; return whether it says goodbye."""
        connection.heard = time.monotonic()
        valid.items("proposals", len(message.proposals), MAX_PROPOSALS)
        valid.items("withdrawals", len(message.withdrawals), MAX_PROPOSALS)
        size = len(parts[0])
        if message.withdrawals:
            ids = [valid.required_id("withdrawals", id_) for id_ in message.withdrawals]
            self._note(connection.withdraw(ids, size), size)
        if message.awaits:
            valid.items("awaits", len(message.awaits), MAX_PROPOSALS)
            self._note(connection.note_awaits(parse_awaits(message.awaits), size), size)
        if message.ping:
            self._caller.owe(_PONG_BYTES)
            self._pongs.append(message.ping)
            self._notify()
        goodbye = message.goodbye
        await _propose(connection, message, size)
        parts.reverse()
        parts.pop()
        while parts:
            await asyncio.sleep(0)
            part = parts.pop()  # so that it takes no memory beside what it has in it
            await _propose(connection, parse(part), len(part))
            self._count(-len(part))
        if self._unparsed:  # the first part, and what its encoding had beside its fields
            self._count(-self._unparsed)
        return goodbye

    def _note(self, command: Future[Any], size: int) -> None:
        """Count what a command takes until it is done."""
        self._caller.take_in(size)
        command.add_done_callback(lambda _done: self._caller.settle(size))
        self._commands += 1
        self._last_command = command

    def _deliver(self, response: proposal_pb2.ProposeResponse) -> None:
        """Queue decisions for the client. Called on the engine's thread, or by ``propose``."""
        messages = list(_messages(response))
        with self._lock:
            if self._caller.gone:
                return
            self._caller.owe(sum(len(message.body) for message in messages))
            self._outbox.extend(messages)
        self._notify()

    def _notify(self) -> None:
        """Wake the writer, once for all that comes until it looks. Safe from any thread."""
        if not self._notified:
            self._notified = True
            self._loop.call_soon_threadsafe(self._pending.set)

    def _on_expiry(self, _connection: Connection) -> None:
        """Be told, on the engine's threads, that the session has ended: the client has to open a new one."""
        self._loop.call_soon_threadsafe(self._expire)

    def _expire(self) -> None:
        """Take no more messages, and give the client some time for its decisions."""
        if self._drop_at is None:
            self._drop_at = self._loop.time() + EXPIRED_SECONDS
            if self._ending is not None:
                self._ending.reschedule(self._drop_at)
            self._stop_reading()

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
                pong = proposal_pb2.ProposeResponse(pong=self._pongs.popleft())
                await self._send(pong.SerializeToString(), _PONG_BYTES)
            while self._outbox:
                body = self._next_message()
                await self._send(body, len(body))

    async def _send(self, body: bytes, size: int) -> None:
        """Send a message, which was counted with ``size`` bytes."""
        await self._context.write(body)
        self._caller.sent(size)
        if self._held_back and self._connection is not None:
            # One that takes its decisions is there, although its pings are not read.
            self._connection.heard = time.monotonic()

    def _next_message(self) -> bytes:
        """Take the next message from the outbox, together with those behind it if they are small.

        Messages one behind the other are one message, which has the decisions of all of them; see "Last One
        Wins" in protobuf's description of its encoding.
        """
        with self._lock:
            taken = [self._outbox.popleft()]
            decisions, size = taken[0].decisions, len(taken[0].body)
            while self._outbox:
                decisions += self._outbox[0].decisions
                size += len(self._outbox[0].body)
                if size > _SHARED_BYTES or decisions > MAX_DECISIONS:
                    break
                taken.append(self._outbox.popleft())
        return b"".join(message.body for message in taken)

    async def _drain(self, writer: asyncio.Task[None]) -> None:
        self._finished = True
        self._pending.set()
        await writer


async def _propose(connection: Connection, message: proposal_pb2.ProposeRequest, size: int) -> None:
    """Submit a message's proposals, some at a time, so that other clients are read from in between."""
    proposals = message.proposals
    count = len(proposals)
    for first in range(0, count, SLICE):
        if first:
            await asyncio.sleep(0)
        part = proposals[first : first + SLICE] if count > SLICE else proposals
        connection.propose(part, size * len(part) // count)


def _messages(response: proposal_pb2.ProposeResponse) -> Iterator[_Message]:
    """Serialize decisions, in several messages where one would be larger than clients take."""
    body = response.SerializeToString()
    count = len(response.decisions)
    if len(body) <= MAX_ANSWER_BYTES or count == 1:
        yield _Message(count, body)
        return
    half = count // 2
    yield from _messages(proposal_pb2.ProposeResponse(decisions=response.decisions[:half]))
    yield from _messages(proposal_pb2.ProposeResponse(decisions=response.decisions[half:]))


def _lose(connecting: Future[Connection]) -> None:
    if connecting.exception() is None:
        connecting.result().lose()


def _nothing() -> None:
    """Do nothing: the session has ended already."""
