"""Turns: a few of many at a time, from each client in rotation."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager


class Turns:
    """Admits at most so many at a time: of one client in their order, of several clients in rotation.

    Safe from any thread and any event loop.

    Args:
        most: How many have a turn at the same time.
    """

    def __init__(self, most: int) -> None:
        self._free = most
        self._lock = threading.Lock()
        self._queues: dict[object, deque[Future[None]]] = {}

    @asynccontextmanager
    async def turn(self, client: object) -> AsyncIterator[None]:
        """Wait for a turn of ``client``, and have it until the block is left."""
        await self.begin(client)
        try:
            yield
        finally:
            self.end()

    async def begin(self, client: object) -> None:
        """Wait for a turn of ``client``; ``end`` is to be called after it."""
        with self._lock:
            if self._free:
                self._free -= 1
                return
            admitted: Future[None] = Future()
            self._queues.setdefault(client, deque()).append(admitted)
        try:
            await asyncio.wrap_future(admitted)
        except asyncio.CancelledError:
            # One that was admitted at the same moment leaves its turn to the next.
            if not admitted.cancel():
                self.end()
            raise

    def end(self) -> None:
        """Give the turn to the next, if any waits."""
        with self._lock:
            admitted = self._next()
            if admitted is None:
                self._free += 1
        if admitted is not None:
            admitted.set_result(None)

    def _next(self) -> Future[None] | None:
        while self._queues:
            client, queue = next(iter(self._queues.items()))
            del self._queues[client]
            while queue:
                admitted = queue.popleft()
                if admitted.set_running_or_notify_cancel():
                    if queue:  # behind the other clients
                        self._queues[client] = queue
                    return admitted
        return None
