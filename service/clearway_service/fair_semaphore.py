"""FairSemaphore: bounds concurrency, and admits clients round robin."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager


class FairSemaphore:
    """Admits a bounded number of holders: FIFO within a client, round robin among clients.

    Safe to use from any thread and any event loop.

    Args:
        most: How many holders are admitted at the same time.
    """

    def __init__(self, most: int) -> None:
        self._free = most
        self._lock = threading.Lock()
        self._queues: dict[object, deque[Future[None]]] = {}

    @asynccontextmanager
    async def hold(self, client: object) -> AsyncIterator[None]:
        """Hold the semaphore for ``client`` within a block."""
        await self.acquire(client)
        try:
            yield
        finally:
            self.release()

    async def acquire(self, client: object) -> None:
        """Wait until ``client`` is admitted; the caller must call ``release`` afterwards."""
        with self._lock:
            if self._free:
                self._free -= 1
                return
            admitted: Future[None] = Future()
            self._queues.setdefault(client, deque()).append(admitted)
        try:
            await asyncio.wrap_future(admitted)
        except asyncio.CancelledError:
            # It may have been admitted at the same moment: pass the place on.
            if not admitted.cancel():
                self.release()
            raise

    def release(self) -> None:
        """Admit the next waiter, if any."""
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
                    if queue:  # after the other clients
                        self._queues[client] = queue
                    return admitted
        return None
