"""The database: opening it, bringing its schema up to date, one connection that writes, others that read."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clearway_service.errors import StoreUnavailableError, reason_of
from clearway_service.store import migrations, statements
from clearway_service.store.checkpoints import Checkpointer
from clearway_service.store.sqlite import Driver, begin, connect

if TYPE_CHECKING:
    from sqlalchemy import Executable
    from sqlalchemy.engine import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

logger = logging.getLogger(__name__)

# The first one that updates rows from others, of August 2020.
_OLDEST_SQLITE = (3, 33, 0)
# How many rows of a list are fetched at once. A row may have 2 MB, and each fetch costs a hop to a thread.
_FETCHED_ROWS = 8


class Database:
    """One SQLite file.

    Attributes:
        driver: The one connection that writes, as the driver has it.

    Args:
        path: The file; it and its folder are made where they do not exist.
        synchronous: ``normal``, or ``full`` where a commit has to outlive a power failure too.

    Raises:
        StoreUnavailableError: The file cannot be opened, is no database, or is of a later version; or this
            Python's SQLite is too old.
    """

    def __init__(self, path: Path, synchronous: str = "normal") -> None:
        self.path = path
        if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
            oldest = ".".join(map(str, _OLDEST_SQLITE))
            raise StoreUnavailableError(
                f"this Python has SQLite {sqlite3.sqlite_version}, and {oldest} or later is needed: "
                "use a Python that was built with a later one"
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.driver: Driver = connect(path, synchronous)
            try:
                self._migrate()
                self._checkpointer = Checkpointer(path)
            except BaseException:
                self.driver.close()
                raise
        except (OSError, sqlite3.Error, StoreUnavailableError) as error:
            raise StoreUnavailableError(f"cannot open the database {path}: {error}") from error

    @cached_property
    def writer(self) -> Connection:
        """The same for plain Core, whose statements are part of the driver's transactions."""
        from clearway_service.store.core_connection import connection_of  # noqa: PLC0415 - 0.2 s

        return connection_of(self.driver)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold a transaction that may write, committed in the end. Used by the writer's thread.

        Raises:
            StoreUnavailableError: The file stayed locked by others.
        """
        begin(self.driver)
        try:
            yield
            self.driver.execute("COMMIT")
        except BaseException:
            if self.driver.in_transaction:
                self.driver.execute("ROLLBACK")
            raise

    def _migrate(self) -> None:
        """Bring the database to the schema of this version. Quick where it is there already, or nothing is.

        Raises:
            StoreUnavailableError: The database was written by a later version.
        """
        with self.turn():
            rows = self.driver.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            tables = {name for (name,) in rows}
            if not tables:
                # What Alembic makes of nothing is the same, but it takes longer to import than all else here.
                for statement in statements.SCHEMA:
                    self.driver.execute(statement)
                self.driver.execute(statements.INSERT_VERSION, (migrations.HEAD,))
            elif "alembic_version" not in tables or self._revision() != migrations.HEAD:
                from clearway_service.store.core_connection import upgrade  # noqa: PLC0415 - see above

                upgrade(self.writer)

    def _revision(self) -> str | None:
        row = self.driver.execute(statements.VERSION).fetchone()
        return row[0] if row else None

    def data_version(self) -> int:
        """Return a number that changes when another connection commits to the file.

        It is -1 where it cannot be read: for a moment, while another process mends the file after a crash.
        """
        try:
            version: int = self.driver.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error:
            return -1
        return version

    def committed(self) -> None:
        """Hear that the writer committed. Called by the writer's thread."""
        self._checkpointer.committed(self.driver.total_changes)

    async def read(self, query: Executable) -> list[tuple[Any, ...]]:
        """Return the rows of a query that decides nothing, read beside the writer.

        Raises:
            StoreUnavailableError: The database did not answer it.
        """
        async with self._reading() as connection:
            return [tuple(row) for row in await connection.execute(query)]

    async def read_while(self, query: Executable, take: Callable[[tuple[Any, ...]], bool]) -> None:
        """Hand the rows of a query that decides nothing to ``take``, in order, until it returns False.

        Rows are fetched a few at a time, so that those which are not wanted are never read.

        Raises:
            StoreUnavailableError: The database did not answer it.
        """
        async with self._reading() as connection, connection.stream(query) as rows:
            while fetched := await rows.fetchmany(_FETCHED_ROWS):
                for row in fetched:
                    if not take(tuple(row)):
                        return

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection]:
        from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - whoever made the query has loaded it

        try:
            async with self._reader.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            logger.exception("a query failed")
            raise StoreUnavailableError(f"the database did not answer: {reason_of(error)}") from error

    @cached_property
    def _reader(self) -> AsyncEngine:
        # It brings the ORM with it, which a flow that reads nothing need not wait for.
        from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415

        return create_async_engine(
            f"sqlite+aiosqlite:///{self.path}",
            connect_args={"timeout": 30},
            pool_size=4,
            hide_parameters=True,  # errors are logged, and parameters are what clients sent
        )

    async def close_reader(self) -> None:
        """Close the connections that read."""
        if "_reader" in self.__dict__:
            await self._reader.dispose()

    def close(self) -> None:
        """Close the connection that writes."""
        self._checkpointer.close()
        if "writer" in self.__dict__:
            self.writer.close()
            self.writer.engine.dispose()
        self.driver.close()
