"""Stream: one ``Propose`` call, from its hello to its end."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine
from concurrent.futures import Future
from enum import IntEnum
from typing import Any

from clearway.v1 import proposal_pb2
from clearway_service.api.connecting import Connector
from clearway_service.api.field_checks import check_items
from clearway_service.api.intake import Context, Intake
from clearway_service.api.outbox import Outbox
from clearway_service.api.parsing import parse_awaits
from clearway_service.api.request_validation import read_propose_request
from clearway_service.api.session_connection import Connection
from clearway_service.api.slicing import SLICE, WHOLE_BYTES, parse
from clearway_service.engine.budget import Budget
from clearway_service.engine.pipeline import MAX_PROPOSALS
from clearway_service.errors import ProtocolError, SessionExpiredError, ShuttingDownError

# Withdrawals and awaits get no reply, so the stream waits for their completion after this many messages.
_MAX_COMMANDS = 256
# How long a new call may be silent: it takes memory, and has no session yet that could expire.
HELLO_SECONDS = 30.0
# How long a client whose session has expired has to read its decisions before they are dropped.
EXPIRED_SECONDS = 5.0
# A broken call ends for reading first and is cancelled within this time, usually at once.
_CANCELLED_SECONDS = 0.05


class Stage(IntEnum):
    """Whether a stream reads, or why it has stopped reading. A later stage replaces earlier ones."""

    OPEN = 0
    CLOSED = 1
    """The client closed its side."""
    STOPPED = 2
    """The service is shutting down."""
    GOODBYE = 3
    """The client ended its session."""
    EXPIRED = 4
    """The session has ended although its client is connected."""


class Stream:
    """One open ``Propose`` call. Belongs to its event loop.

    Args:
        connector: Connects the client.
        budget: The budget of all clients.
        context: The call.
    """

    def __init__(self, connector: Connector, budget: Budget, context: Context) -> None:
        self._connector = connector
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._caller = budget.caller()
        self._intake = Intake(context, self._caller, budget)
        self._outbox = Outbox(self._caller, context.write, self._on_taken)
        self._stage = Stage.OPEN
        self._connection: Connection | None = None
        self._commands = 0
        self._last_command: Future[Any] | None = None
        self._reader: asyncio.Task[Any] | None = None
        # When the decisions of an expired session are dropped, by the loop's clock; None while it is open.
        self._drop_at: float | None = None
        self._ending: asyncio.Timeout | None = None
        self._done = asyncio.Event()

    async def stop(self) -> None:
        """Stop reading, let pending proposals be decided, and return when the stream has ended."""
        self._move(Stage.STOPPED)
        await self._done.wait()

    async def serve(self) -> None:
        """Serve the call until the client has closed its side and has received all decisions.

        Raises:
            ClearwayError: The client broke the protocol, its session expired, or the service shuts down.
        """
        try:
            await self._serve()
        finally:
            # Unsent decisions are dropped, and so are later ones.
            self._caller.leave()
            self._intake.leave()
            self._outbox.clear()
            self._done.set()

    def _move(self, stage: Stage) -> None:
        """Stop reading because of ``stage``, unless a later stage was reached already."""
        self._stage = max(self._stage, stage)
        if self._reader is not None and stage in (Stage.STOPPED, Stage.EXPIRED):
            self._reader.cancel()

    async def _serve(self) -> None:
        parts = await self._hello()
        if parts is None:
            return
        self._intake.end_turn()
        opening = parse(parts[0])
        if not opening.HasField("hello"):
            raise ProtocolError("the stream's first message has no hello; send one before proposals", "hello")
        connection = self._connection = await self._connect(opening.hello)
        left = connection.lose
        writer = asyncio.create_task(self._outbox.run())
        try:
            welcome = proposal_pb2.ProposeResponse(welcome=connection.welcome)
            await self._context.write(welcome.SerializeToString())
            if await self._take(connection, parts, opening):
                self._move(Stage.GOODBYE)
            else:
                del opening
                await self._until_stopped(self._read(connection))
            # The client of an expired session may not read, so that its last decisions never find room.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._drop_at) as self._ending:
                    await asyncio.wrap_future(connection.settled())
                    if self._stage is Stage.GOODBYE:
                        await asyncio.wrap_future(connection.end())
                        left = _nothing
                    elif self._stage is Stage.CLOSED:
                        # A broken stream ends for reading too, and is cancelled right after. Its waiting
                        # proposals then keep their places. If the client closed its side, it is still
                        # connected, and they must leave the queue.
                        await asyncio.sleep(_CANCELLED_SECONDS)
                        await asyncio.wrap_future(connection.leave_queue())
                    self._outbox.finish()
                    await writer
            self._ending = None
            self._raise_end(connection)
        finally:
            writer.cancel()
            left()

    def _raise_end(self, connection: Connection) -> None:
        """Raise unless the stream ends because its client is done."""
        if self._stage is Stage.EXPIRED:
            ended = connection.session_id
            raise SessionExpiredError(f"session {ended} has ended; open a new one", session_id=ended)
        if self._stage is Stage.STOPPED:
            raise ShuttingDownError("the service is shutting down; reconnect and resume the session")

    async def _hello(self) -> list[bytes] | None:
        """Return the first message in parts, or None if the stream ends without one."""
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                body: bytes | None = await self._until_stopped(self._intake.read(None))
        except TimeoutError:
            raise ProtocolError(
                f"no hello came within {HELLO_SECONDS:g} s; it opens the stream, so send it at once", "hello"
            ) from None
        if self._stage is Stage.STOPPED:
            raise ShuttingDownError("the service is shutting down; reconnect when it is back")
        return None if body is None else await self._intake.split(body, None)

    async def _connect(self, hello: proposal_pb2.Hello) -> Connection:
        """Connect the client; if the call ends meanwhile, the session's lease simply expires."""
        # Not in a thread of the pool, where it could queue behind other work.
        connecting = self._connector.begin(hello, self._outbox.deliver, self._on_expiry, caller=self._caller)
        try:
            return await asyncio.wrap_future(connecting)
        except asyncio.CancelledError:
            connecting.add_done_callback(_lose)
            raise

    async def _until_stopped(self, reading: Coroutine[Any, Any, Any]) -> Any:
        """Return the result of ``reading``, or None if the stream stops reading first."""
        self._reader = asyncio.create_task(reading)
        if self._stage is not Stage.OPEN:
            self._reader.cancel()
        try:
            await asyncio.wait([self._reader])
        finally:
            self._reader.cancel()
        return None if self._reader.cancelled() else self._reader.result()

    async def _read(self, connection: Connection) -> None:
        """Process messages until the client closes its side or says goodbye."""
        while True:
            body = await self._intake.read(connection)
            if body is None:
                self._move(Stage.CLOSED)
                return
            parts = [body] if len(body) <= WHOLE_BYTES else await self._intake.split(body, connection)
            del body
            message = parse(parts[0])
            if message.HasField("hello"):
                raise ProtocolError("hello came a second time; it opens the stream and is sent once", "hello")
            if await self._take(connection, parts, message):
                self._move(Stage.GOODBYE)
                return
            del parts, message  # frees them while waiting for the next one
            if self._commands >= _MAX_COMMANDS or not self._intake.has_room:
                await self._intake.wait_for_room(connection, self._full_of_commands())

    def _full_of_commands(self) -> asyncio.Future[Any] | None:
        """Return the last command if many were submitted since one was awaited, else None."""
        if self._commands < _MAX_COMMANDS or self._last_command is None:
            return None
        self._commands = 0
        return asyncio.wrap_future(self._last_command)

    async def _take(
        self, connection: Connection, parts: list[bytes], message: proposal_pb2.ProposeRequest
    ) -> bool:
        """Process a message's parts, the first of which is ``message``; return True if it says goodbye."""
        connection.heard = time.monotonic()
        _hello, proposals, withdrawals, goodbye, ping, awaits = read_propose_request(message, "")
        count = len(proposals)
        check_items("proposals", count, MAX_PROPOSALS)
        size = len(parts[0])
        if withdrawals:
            self._note(connection.withdraw(withdrawals, size), size)
        if awaits:
            self._note(connection.note_awaits(parse_awaits(awaits), size), size)
        if ping:
            self._outbox.pong(ping)
        if count > SLICE:
            await _propose(connection, message, size)
        elif count:
            connection.propose(proposals, size)
        if len(parts) > 1:
            parts.reverse()
            parts.pop()
            while parts:
                await asyncio.sleep(0)
                part = parts.pop()  # so that its bytes are freed once it is parsed
                await _propose(connection, parse(part), len(part))
                self._intake.taken(len(part))
        self._intake.taken_all()
        return bool(goodbye)

    def _note(self, command: Future[Any], size: int) -> None:
        """Count a command's memory until it is done."""
        self._caller.take_in(size)
        command.add_done_callback(lambda _done: self._caller.settle(size))
        self._commands += 1
        self._last_command = command

    def _on_taken(self) -> None:
        """Count the client as seen: it receives decisions, although its pings may not be read."""
        if self._intake.held_back and self._connection is not None:
            self._connection.heard = time.monotonic()

    def _on_expiry(self, _connection: Connection) -> None:
        """Handle the end of the session, called on the engine's threads: the client must open a new one."""
        self._loop.call_soon_threadsafe(self._expire)

    def _expire(self) -> None:
        """Stop reading, and give the client some time to receive its decisions."""
        if self._stage is not Stage.EXPIRED:
            self._drop_at = self._loop.time() + EXPIRED_SECONDS
            if self._ending is not None:
                self._ending.reschedule(self._drop_at)
            self._move(Stage.EXPIRED)


async def _propose(connection: Connection, message: proposal_pb2.ProposeRequest, size: int) -> None:
    """Submit a message's proposals in slices, so that other clients are read in between."""
    proposals = message.proposals
    count = len(proposals)
    for first in range(0, count, SLICE):
        if first:
            await asyncio.sleep(0)
        part = proposals[first : first + SLICE] if count > SLICE else proposals
        connection.propose(part, size * len(part) // count)


def _lose(connecting: Future[Connection]) -> None:
    if connecting.exception() is None:
        connecting.result().lose()


def _nothing() -> None:
    """Do nothing, for a session that has ended already."""
