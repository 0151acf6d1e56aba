"""Intake: how a stream's messages are read, and its client held back while it has too much under way."""

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

# While a client is not read from for what the service has yet to do, how often it is noted that it is there.
_HEARD_SECONDS = 1.0
# While the total is used up, large messages are taken one after the other: how long one of them may keep the
# next waiting because it is slow to arrive, and because it is not decided.
_ARRIVAL_SECONDS = 0.5
_DECIDED_SECONDS = 1.0

# What is read is not parsed yet, and what is sent is serialized already.
Context = grpc.aio.ServicerContext[bytes, bytes]


class Intake:
    """Reads the messages of one client. Belongs to the stream's event loop.

    Args:
        context: The call.
        caller: The client.
        budget: What all clients may have under way.

    Attributes:
        held_back: Whether the client is not read from until it has taken its decisions.
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
        """Return the next message, or None if none follows.

        gRPC takes a message in when it is asked for, before its size is known. So a stream whose last message
        was large asks in its turn while the total is used up.
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
        """Return a message in parts. A large one waits for its turn while the total is used up.

        Args:
            body: What ``read`` returned last.
            connection: The client's conversation, if it has begun.

        Raises:
            InvalidArgumentError: It has too many proposals, or is no message.
        """
        if self._last_was_large:
            # Its parts are a copy of it, so its bytes are counted until they are taken.
            self._count(len(body))
            if self._budget.full:
                await self._begin_turn(connection)
        parts = slices(body, MAX_PROPOSALS)
        if len(parts) > 1 and not self._last_was_large:
            self._count(len(body))
        return parts

    def taken(self, size: int) -> None:
        """Count the bytes of a message's part no longer: it is parsed."""
        self._count(-size)

    def taken_all(self) -> None:
        """Count nothing of the last message any more: all its parts are parsed."""
        if self._unparsed:  # the first part, and what its encoding had beside its fields
            self._count(-self._unparsed)

    @property
    def has_room(self) -> bool:
        """Whether the client may say more at once; ``wait_for_room`` has nothing to wait for."""
        return not self._holds_large and self._caller.may_read()

    async def wait_for_room(self, connection: Connection, last_command: asyncio.Future[Any] | None) -> None:
        """Return when the client may say more: what it said is dealt with, and it has taken its decisions.

        Args:
            connection: The client's conversation.
            last_command: What has to be done before; None for nothing.
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
                # It has taken its decisions, so it is there, although its pings are not read.
                connection.heard = time.monotonic()
        self.held_back = False

    def end_turn(self) -> None:
        """Let the next stream take a large message."""
        if self._holds_large:
            self._holds_large = False
            self._budget.large.release()

    def leave(self) -> None:
        """Count nothing any more: the call has ended."""
        self.end_turn()
        self.taken_all()

    def _count(self, size: int) -> None:
        """Count bytes that were read and are not parsed yet, or no longer."""
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
        """Return when it is this stream's turn with a large message. It is there, although it is not read."""
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
