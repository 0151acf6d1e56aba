"""Outbox: a stream's pending responses, merged into messages while the last one is being sent."""

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

# Pending messages are merged up to this size.
_SHARED_BYTES = 65_536
# The memory for a pong until it is sent.
PONG_BYTES = 64


class _Message(NamedTuple):
    decisions: int
    body: bytes


class Outbox:
    """Decisions and pongs yet to be sent to one client, counted by its budget.

    ``deliver`` and ``pong`` are thread-safe; everything else belongs to the stream's event loop.

    Args:
        caller: The client.
        write: Sends a message; returns when there is room for the next one.
        on_taken: Called after each message that was sent.
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
        """The number of pongs yet to be sent."""
        return len(self._pongs)

    def deliver(self, response: proposal_pb2.ProposeResponse) -> None:
        """Queue decisions; dropped if the client is gone."""
        messages = _messages(response)
        with self._lock:
            if self._caller.gone:
                return
            self._caller.owe(sum([len(message.body) for message in messages]))
            self._messages.extend(messages)
        self._notify()

    def pong(self, number: int) -> None:
        """Queue the reply to a ping."""
        self._caller.owe(PONG_BYTES)
        self._pongs.append(number)
        self._notify()

    def _notify(self) -> None:
        """Wake ``run``, once for everything queued until it checks."""
        if not self._notified:
            self._notified = True
            self._loop.call_soon_threadsafe(self._pending.set)

    async def run(self) -> None:
        """Send pending messages, each after the previous one was sent, until ``finish`` is called."""
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
        """Let ``run`` return when everything is sent; nothing more may be queued."""
        self._finished = True
        self._pending.set()

    def clear(self) -> None:
        """Drop unsent messages, after the client has left its budget."""
        with self._lock:
            self._messages.clear()

    def _taken(self, size: int) -> None:
        """Update the counts after a message that was counted as ``size`` bytes was sent."""
        self._caller.sent(size)
        self._on_taken()

    def _next_message(self) -> bytes:
        """Remove the next message, merged with the ones after it if they are small.

        Concatenated serialized messages are one message with the decisions of all of them; see "Last One
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
    """Serialize decisions, as several messages if one would be larger than clients accept."""
    body = response.SerializeToString()
    count = len(response.decisions)
    if len(body) <= MAX_ANSWER_BYTES or count == 1:
        return [_Message(count, body)]
    parts = response.decisions[: count // 2], response.decisions[count // 2 :]
    first, second = (_messages(proposal_pb2.ProposeResponse(decisions=part)) for part in parts)
    return first + second
