"""Reading beside the writer: connections that decide nothing, used on the threads of a small pool."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import URL, create_engine

from clearway_service.errors import StoreUnavailableError
from clearway_service.fair_semaphore import FairSemaphore

if TYPE_CHECKING:
    from sqlalchemy import Executable
    from sqlalchemy.engine import Engine

T = TypeVar("T")
Row = tuple[Any, ...]

# How many reads run at the same time, and how many of them may be lists: so single rows are read at once.
_CONNECTIONS = 4
_LISTS = 2
# How much of a list is fetched at once: about a page. A single row may have 2 MB.
_FETCHED_BYTES = 2 * 1024 * 1024
# The size that a number, or an empty string, counts for.
_VALUE_BYTES = 8
# The number of rows passed on before the event loop serves others.
_SLICE = 64


class Reader:
    """Connections to one SQLite file for reading. Safe to use from any event loop.

    Args:
        path: The file, which must exist.
    """

    def __init__(self, path: Path) -> None:
        # As a URI, since a path alone would create a missing file.
        file, query = path.absolute().as_uri(), {"uri": "true", "mode": "rw"}
        self._engine = create_engine(
            URL.create("sqlite", database=file, query=query),
            connect_args={"timeout": 30, "check_same_thread": False},
            pool_size=_CONNECTIONS,
            hide_parameters=True,  # errors are logged, and parameters are what clients sent
        )
        self._threads = ThreadPoolExecutor(_CONNECTIONS, "clearway-reader")
        self._lists = FairSemaphore(_LISTS)

    async def read(self, query: Executable) -> list[Row]:
        """Return the rows of a query.

        Raises:
            SQLAlchemyError: The query failed.
        """
        return await self._run(lambda: self._read(query))

    def _read(self, query: Executable) -> list[Row]:
        with self._engine.connect() as connection:
            return [tuple(row) for row in connection.execute(query)]

    async def read_while(self, query: Executable, take: Callable[[Row], bool], client: object) -> None:
        """Pass the rows of a query to ``take``, in order, until it returns False.

        The rows are fetched on a thread, up to a bound in bytes. ``take`` is called on the event loop, which
        serves others in between; by then the connection is free, unless there are more rows beyond the bound.

        Args:
            query: The query.
            take: Called with each row.
            client: The client that lists. Each client's lists wait for one another, and alternate with those
                of other clients.

        Raises:
            SQLAlchemyError: The query failed.
        """
        async with self._lists.hold(client):
            listing = _Listing(self._engine, query)
            try:
                more = True
                while more:
                    rows, more = await self._run(listing.fetch)
                    for number, row in enumerate(rows, 1):
                        if not take(row):
                            return
                        if number % _SLICE == 0:
                            await asyncio.sleep(0)
            finally:
                if listing.open:
                    # Not awaited: the call may have been cancelled, even during a fetch.
                    self._submit(listing.close)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.wrap_future(self._submit(work))

    def _submit(self, work: Callable[[], T]) -> Future[T]:
        try:
            return self._threads.submit(work)
        except RuntimeError:
            raise StoreUnavailableError("the database is closed") from None

    def dispose(self) -> None:
        """Close the idle connections; the next reads open new ones."""
        self._engine.dispose()

    def close(self) -> None:
        """Let the threads end. Started reads finish; later ones fail."""
        self._threads.shutdown(wait=False)
        self._engine.dispose()


class _Listing:
    """A query whose rows are fetched up to a bound in bytes at a time, by one thread at a time."""

    def __init__(self, engine: Engine, query: Executable) -> None:
        self._lock = threading.Lock()  # if a call is cancelled, ``close`` may come during a fetch
        self._parts = _parts(engine, query)
        self.open = True

    def fetch(self) -> tuple[list[Row], bool]:
        """Return the next rows, and whether there may be more."""
        with self._lock:
            rows, more = next(self._parts, ([], False))
            self.open = more
            return rows, more

    def close(self) -> None:
        """Return the connection to the pool."""
        with self._lock:
            self._parts.close()


def _parts(engine: Engine, query: Executable) -> Generator[tuple[list[Row], bool], None, None]:
    rows: list[Row] = []
    size = 0
    with engine.connect() as connection:
        for row in connection.execute(query):
            rows.append(tuple(row))
            size += sum(len(value) if isinstance(value, str | bytes) else _VALUE_BYTES for value in row)
            if size >= _FETCHED_BYTES:
                yield rows, True
                rows, size = [], 0
    # The connection is free by now.
    yield rows, False
