"""Intake: reads a stream's messages, with backpressure while its client has too much pending."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import grpc.aio

from clearway_service.api.session_connection import Connection
from clearway_service.api.slicing import slices
from clearway_service.engine.budget import LEAST_BYTES, Budget, Caller
from clearway_service.engine.pipeline import MAX_PROPOSALS

# How often a client counts as seen while backpressure keeps its messages from being read.
_HEARD_SECONDS = 1.0
# While the total budget is used up, large messages are processed one at a time: how long one may delay the
# next because it is slow to arrive, and because it is not decided.
_ARRIVAL_SECONDS = 0.5
_DECIDED_SECONDS = 1.0

# Messages are read before they are parsed, and sent after they are serialized.
Context = grpc.aio.ServicerContext[bytes, bytes]


class Intake:
    """Reads one client's messages. Belongs to the stream's event loop.

    Args:
        context: The call.
        caller: The client.
        budget: The budget of all clients.

    Attributes:
        held_back: Whether reading is paused until the client has received its decisions.
    """

    def __init__(self, context: Context, caller: Caller, budget: Budget) -> None:
        self._context = context
        self._caller = caller
        self._budget = budget
        self._loop = asyncio.get_running_loop()
        self._readable = asyncio.Event()
        self._unparsed = 0
        self._last_was_large = False
        self._holds_large = False
        self.held_back = False

    async def read(self, connection: Connection | None) -> bytes | None:
        """Return the next message, or None at the end.

        gRPC receives a message when it is requested, before its size is known. So while the total is used up,
        a stream whose last message was large requests the next one only in its turn.
        """
        if self._last_was_large and self._budget.full:
            body = await self._read_in_turn(connection)
        else:
            body = await self._context.read()
        if not isinstance(body, bytes):
            return None
        self._last_was_large = len(body) > LEAST_BYTES
        return body

    async def split(self, body: bytes, connection: Connection | None) -> list[bytes]:
        """Split a message into parts. A large one waits for its turn while the total is used up.

        Args:
            body: What ``read`` returned last.
            connection: The client's connection, if it is open.

        Raises:
            InvalidArgumentError: It has too many proposals, or is malformed.
        """
        if self._last_was_large:
            # The parts are a copy, so their bytes are counted until they are taken.
            self._count(len(body))
            if self._budget.full:
                await self._begin_turn(connection)
        parts = slices(body, MAX_PROPOSALS)
        if len(parts) > 1 and not self._last_was_large:
            self._count(len(body))
        return parts

    def taken(self, size: int) -> None:
        """Stop counting the bytes of a part that was parsed."""
        self._count(-size)

    def taken_all(self) -> None:
        """Stop counting the last message: all its parts are parsed."""
        if self._unparsed:  # the first part, and the encoding's overhead
            self._count(-self._unparsed)

    @property
    def has_room(self) -> bool:
        """Whether the next message may be read at once, without ``wait_for_room``."""
        return not self._holds_large and self._caller.may_read()

    async def wait_for_room(self, connection: Connection, last_command: asyncio.Future[Any] | None) -> None:
        """Wait until the next message may be read: earlier ones are processed, and decisions received.

        Args:
            connection: The client's connection.
            last_command: A command that must complete first; None for none.
        """
        if self._holds_large:
            await asyncio.wait([asyncio.wrap_future(connection.settled())], timeout=_DECIDED_SECONDS)
            self.end_turn()
        if last_command is not None:
            await asyncio.wait([last_command])
        if self._caller.may_read():
            return
        self._readable.clear()
        while not self._caller.when_readable(self._set_readable):
            self.held_back = True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._readable.wait(), _HEARD_SECONDS)
            self._readable.clear()
            if self._caller.room() > 0:
                # It receives decisions, so it is alive, although its pings are not read.
                connection.heard = time.monotonic()
        self.held_back = False

    def end_turn(self) -> None:
        """Let the next stream take a large message."""
        if self._holds_large:
            self._holds_large = False
            self._budget.large.release()

    def leave(self) -> None:
        """Stop counting anything: the call has ended."""
        self.end_turn()
        self.taken_all()

    def _count(self, size: int) -> None:
        """Change the count of bytes that were read and are not parsed yet."""
        self._unparsed += size
        self._caller.take_in(size)

    async def _read_in_turn(self, connection: Connection | None) -> Any:
        await self._begin_turn(connection)
        reading = asyncio.ensure_future(self._context.read())
        try:
            if not (await asyncio.wait([reading], timeout=_ARRIVAL_SECONDS))[0]:
                self.end_turn()
            return await reading
        finally:
            reading.cancel()

    async def _begin_turn(self, connection: Connection | None) -> None:
        """Wait for this stream's turn with a large message; its client counts as seen meanwhile."""
        if self._holds_large:
            return
        noting = asyncio.create_task(self._note_heard(connection))
        try:
            await self._budget.large.acquire(self)
        finally:
            noting.cancel()
        self._holds_large = True

    async def _note_heard(self, connection: Connection | None) -> None:
        while connection is not None:
            await asyncio.sleep(_HEARD_SECONDS)
            if self._caller.room() > 0:
                connection.heard = time.monotonic()

    def _set_readable(self) -> None:
        self._loop.call_soon_threadsafe(self._readable.set)
