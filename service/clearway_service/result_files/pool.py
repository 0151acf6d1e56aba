"""The pool for file work, separate from all other work: bounded in threads and in what is queued."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from clearway_service.errors import ShuttingDownError, StoreUnavailableError

T = TypeVar("T")


async def outcome(doing: Future[T]) -> T:
    """Return a future's outcome. If the caller is cancelled, the future continues, its error ignored."""
    wrapped = asyncio.wrap_future(doing)
    wrapped.add_done_callback(_retrieve)
    return await asyncio.shield(wrapped)


@dataclass(slots=True)
class _Owned:
    """What one client has queued."""

    calls: int = 0
    bytes: int = 0


class FilePool:
    """Executes file work. Safe to use from any thread and any event loop.

    A client may have queued as much as remains free afterwards: a single client up to half of everything,
    several clients even shares, and there is always room for one more.

    Args:
        name: The name of its threads, which are started on demand.
        threads: The number of threads.
        most_calls: The maximum number of queued and running calls.
        most_bytes: The maximum number of bytes that their chunks hold.
    """

    def __init__(self, name: str, threads: int, most_calls: int, most_bytes: int) -> None:
        self._executor = ThreadPoolExecutor(threads, name)
        self._most_calls = most_calls
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._calls = self._bytes = 0
        self._owned: dict[Hashable, _Owned] = {}

    def submit(
        self, work: Callable[..., T], *args: Any, size: int = 0, owner: Hashable | None = None
    ) -> Future[T]:
        """Queue work.

        Args:
            work: The function.
            args: Its arguments.
            size: The number of bytes held until it is done.
            owner: The client that it is done for; None if it has no share of its own.

        Raises:
            StoreUnavailableError: Too much is queued, in total or by this client.
            ShuttingDownError: The pool was closed.
        """
        with self._lock:
            # One call always fits, however large.
            if self._calls >= self._most_calls or (self._calls and self._bytes + size > self._most_bytes):
                raise StoreUnavailableError(
                    f"the result storage is busy: {self._calls:,} calls with {self._bytes:,} bytes are "
                    "queued; try again"
                )
            if owner is not None:
                self._take(owner, size)
            self._calls += 1
            self._bytes += size
        try:
            future = self._executor.submit(self._run, owner, size, work, *args)
        except RuntimeError:
            self._done(owner, size)
            raise ShuttingDownError("the service is shutting down; try again when it is back") from None
        return future

    async def run(
        self, work: Callable[..., T], *args: Any, size: int = 0, owner: Hashable | None = None
    ) -> T:
        """Return the result of work. If the caller is cancelled, the work is still done, and still counts.

        Raises:
            StoreUnavailableError: Too much is queued.
            ShuttingDownError: The pool was closed.
        """
        return await outcome(self.submit(work, *args, size=size, owner=owner))

    def close(self) -> None:
        """Accept no more work. Running work finishes; queued work is dropped."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _take(self, owner: Hashable, size: int) -> None:
        """Count a client's call, which may use as much as remains free; one call always fits."""
        owned = self._owned.setdefault(owner, _Owned())
        more_calls, more_bytes = owned.calls + 1, owned.bytes + size
        fits = (
            more_calls <= self._most_calls - self._calls - 1
            and more_bytes <= self._most_bytes - self._bytes - size
        )
        if owned.calls and not fits:
            raise StoreUnavailableError(
                f"the result storage is busy: {owned.calls:,} calls of this connection with {owned.bytes:,} "
                "bytes are queued, which is its share; try again"
            )
        owned.calls, owned.bytes = more_calls, more_bytes

    def _run(self, owner: Hashable | None, size: int, work: Callable[..., T], *args: Any) -> T:
        try:
            return work(*args)
        finally:
            self._done(owner, size)

    def _done(self, owner: Hashable | None, size: int) -> None:
        with self._lock:
            self._calls -= 1
            self._bytes -= size
            if owner is None:
                return
            owned = self._owned[owner]
            owned.calls -= 1
            owned.bytes -= size
            if not owned.calls:
                del self._owned[owner]


def _retrieve(done: asyncio.Future[Any]) -> None:
    if not done.cancelled():
        done.exception()
