"""The pool that work on files runs in, apart from all else: bounded in threads, and in what is queued."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from clearway_service.errors import ShuttingDownError, StoreUnavailableError

T = TypeVar("T")


class FilePool:
    """Runs work on files. Safe from any thread and any event loop.

    Args:
        name: Of its threads, which are started when they are needed.
        threads: How many there are.
        most_calls: How many calls may be queued or run at once.
        most_bytes: How many bytes of pieces these may hold.
    """

    def __init__(self, name: str, threads: int, most_calls: int, most_bytes: int) -> None:
        self._executor = ThreadPoolExecutor(threads, name)
        self._most_calls = most_calls
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._calls = self._bytes = 0

    def submit(self, work: Callable[..., T], *args: Any, size: int = 0) -> Future[T]:
        """Queue work.

        Args:
            work: The function.
            args: What it is called with.
            size: How many bytes are held until it is done.

        Raises:
            StoreUnavailableError: Too much is queued.
            ShuttingDownError: The pool was closed.
        """
        with self._lock:
            # One call fits in any case, however large.
            if self._calls >= self._most_calls or (self._calls and self._bytes + size > self._most_bytes):
                raise StoreUnavailableError(
                    f"the result storage is busy: {self._calls:,} calls with {self._bytes:,} bytes are "
                    "queued; try again"
                )
            self._calls += 1
            self._bytes += size
        try:
            future = self._executor.submit(self._run, size, work, *args)
        except RuntimeError:
            self._done(size)
            raise ShuttingDownError("the service is going down; try again when it is back") from None
        return future

    async def run(self, work: Callable[..., T], *args: Any, size: int = 0) -> T:
        """Return what work returns. Where the caller is cancelled it is done all the same, and counts.

        Raises:
            StoreUnavailableError: Too much is queued.
            ShuttingDownError: The pool was closed.
        """
        return await asyncio.shield(asyncio.wrap_future(self.submit(work, *args, size=size)))

    def close(self) -> None:
        """Take no more work. What runs is done; what is queued is not."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _run(self, size: int, work: Callable[..., T], *args: Any) -> T:
        try:
            return work(*args)
        finally:
            self._done(size)

    def _done(self, size: int) -> None:
        with self._lock:
            self._calls -= 1
            self._bytes -= size
