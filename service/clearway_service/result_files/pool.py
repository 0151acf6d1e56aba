"""The pool that work on files runs in, apart from all else: bounded in threads, and in what is queued."""

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
    """Return what a future comes to. It is not cancelled with the caller, whose absence is no error then."""
    wrapped = asyncio.wrap_future(doing)
    wrapped.add_done_callback(_retrieve)
    return await asyncio.shield(wrapped)


@dataclass(slots=True)
class _Owned:
    """What one client has queued."""

    calls: int = 0
    bytes: int = 0


class FilePool:
    """Runs work on files. Safe from any thread and any event loop.

    A client may have as much queued as is free after that: a single one up to half of all, several even
    shares, and the next one to come always finds room.

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
        self._owned: dict[Hashable, _Owned] = {}

    def submit(
        self, work: Callable[..., T], *args: Any, size: int = 0, owner: Hashable | None = None
    ) -> Future[T]:
        """Queue work.

        Args:
            work: The function.
            args: What it is called with.
            size: How many bytes are held until it is done.
            owner: The client that it is done for; None where it has no share of its own.

        Raises:
            StoreUnavailableError: Too much is queued, in all or of this client.
            ShuttingDownError: The pool was closed.
        """
        with self._lock:
            # One call fits in any case, however large.
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
            raise ShuttingDownError("the service is going down; try again when it is back") from None
        return future

    async def run(
        self, work: Callable[..., T], *args: Any, size: int = 0, owner: Hashable | None = None
    ) -> T:
        """Return what work returns. Where the caller is cancelled it is done all the same, and counts.

        Raises:
            StoreUnavailableError: Too much is queued.
            ShuttingDownError: The pool was closed.
        """
        return await outcome(self.submit(work, *args, size=size, owner=owner))

    def close(self) -> None:
        """Take no more work. What runs is done; what is queued is not."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _take(self, owner: Hashable, size: int) -> None:
        """Count a call of a client, which may have as much as remains free; one call fits in any case."""
        owned = self._owned.setdefault(owner, _Owned())
        more_calls, more_bytes = owned.calls + 1, owned.bytes + size
        fits = (
            more_calls <= self._most_calls - self._calls - 1
            and more_bytes <= self._most_bytes - self._bytes - size
        )
        if owned.calls and not fits:
            raise StoreUnavailableError(
                f"the result storage is busy: {owned.calls:,} calls of this connection with {owned.bytes:,} "
                "bytes are queued, and the rest is for others; try again"
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
