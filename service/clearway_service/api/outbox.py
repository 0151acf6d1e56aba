"""Outbox: what a stream has yet to send, put together into messages while the last one leaves."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from clearway.v1 import proposal_pb2
from clearway_service.api.base import MAX_ANSWER_BYTES
from clearway_service.api.session_connection import MAX_DECISIONS
from clearway_service.engine.budget import Caller

# Messages that wait to be sent are put together up to this size.
_SHARED_BYTES = 65_536
# What a pong takes in memory until it is sent.
PONG_BYTES = 64


class _Message(NamedTuple):
    decisions: int
    body: bytes


class Outbox:
    """Decisions and pongs that one client has yet to take, which its budget counts.

    ``deliver`` and ``pong`` are safe from any thread; all else belongs to the stream's event loop.

    Args:
        caller: The client.
        write: Sends a message; returns when there is room for the next one.
        on_taken: Called after each message that has left.
    """

    def __init__(
        self, caller: Caller, write: Callable[[bytes], Awaitable[None]], on_taken: Callable[[], None]
    ) -> None:
        self._caller = caller
        self._write = write
        self._on_taken = on_taken
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._messages: deque[_Message] = deque()
        self._pongs: deque[int] = deque()
        self._pending = asyncio.Event()
        self._notified = False
        self._finished = False

    @property
    def pongs(self) -> int:
        """How many pongs have yet to be sent."""
        return len(self._pongs)

    def deliver(self, response: proposal_pb2.ProposeResponse) -> None:
        """Queue decisions; those for a client that has gone are dropped."""
        messages = _messages(response)
        with self._lock:
            if self._caller.gone:
                return
            self._caller.owe(sum([len(message.body) for message in messages]))
            self._messages.extend(messages)
        self._notify()

    def pong(self, number: int) -> None:
        """Queue the answer to a ping."""
        self._caller.owe(PONG_BYTES)
        self._pongs.append(number)
        self._notify()

    def _notify(self) -> None:
        """Wake ``run``, once for all that comes until it looks."""
        if not self._notified:
            self._notified = True
            self._loop.call_soon_threadsafe(self._pending.set)

    async def run(self) -> None:
        """Send what is pending whenever the message before has left, until ``finish`` was called."""
        while not (self._finished and not self._messages):
            if not (self._messages or self._pongs):
                await self._pending.wait()
            self._pending.clear()
            self._notified = False
            while self._pongs:
                pong = proposal_pb2.ProposeResponse(pong=self._pongs.popleft())
                await self._write(pong.SerializeToString())
                self._taken(PONG_BYTES)
            while self._messages:
                body = self._next_message()
                await self._write(body)
                self._taken(len(body))

    def finish(self) -> None:
        """Let ``run`` return when all is sent: nothing more is queued."""
        self._finished = True
        self._pending.set()

    def clear(self) -> None:
        """Drop what was not sent: the client has left its budget."""
        with self._lock:
            self._messages.clear()

    def _taken(self, size: int) -> None:
        """Note that a message has left, which was counted with ``size`` bytes."""
        self._caller.sent(size)
        self._on_taken()

    def _next_message(self) -> bytes:
        """Take the next message, together with those behind it if they are small.

        Messages one behind the other are one message, which has the decisions of all of them; see "Last One
        Wins" in protobuf's description of its encoding.
        """
        with self._lock:
            first = self._messages.popleft()
            if not self._messages:
                return first.body
            taken = [first.body]
            decisions, size = first.decisions, len(first.body)
            while self._messages:
                decisions += self._messages[0].decisions
                size += len(self._messages[0].body)
                if size > _SHARED_BYTES or decisions > MAX_DECISIONS:
                    break
                taken.append(self._messages.popleft().body)
        return b"".join(taken)


def _messages(response: proposal_pb2.ProposeResponse) -> list[_Message]:
    """Serialize decisions, in several messages if one would be larger than clients take."""
    body = response.SerializeToString()
    count = len(response.decisions)
    if len(body) <= MAX_ANSWER_BYTES or count == 1:
        return [_Message(count, body)]
    parts = response.decisions[: count // 2], response.decisions[count // 2 :]
    first, second = (_messages(proposal_pb2.ProposeResponse(decisions=part)) for part in parts)
    return first + second
