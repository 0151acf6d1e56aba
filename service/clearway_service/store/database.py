"""The database: opens and migrates it, with one write connection and several read connections."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from clearway._settings.paths import make_private_folder
from clearway_service.errors import StoreUnavailableError, reason_of
from clearway_service.store import migrations
from clearway_service.store import rendered_statements as statements
from clearway_service.store.checkpoints import Checkpointer, move_log
from clearway_service.store.health import Health
from clearway_service.store.open_files import Fault, OpenFiles
from clearway_service.store.ownership import (
    APPLICATION_ID,
    UnusableDatabaseError,
    check_ownership,
    check_revision,
    damaged,
    facts_of,
    foreign,
    is_ours,
    mark,
)
from clearway_service.store.sqlite import (
    LOCK_TIMEOUT_SECONDS,
    Driver,
    begin,
    connect,
    fault_of,
    is_damage,
    write_nothing,
)

if TYPE_CHECKING:
    from sqlalchemy import Executable
    from sqlalchemy.engine import Connection

    from clearway_service.store.reading import Reader

logger = logging.getLogger(__name__)

# The first version that can update rows from other rows; August 2020.
_OLDEST_SQLITE = (3, 33, 0)
# The interval at which the files are checked while there are no transactions, and an unhealthy store is
# retried.
LOOK_SECONDS = 0.4
# How long a transaction waits for other processes when the database is about to be closed.
_LAST_PATIENCE_SECONDS = 1.0
# The minimum interval between log lines about failing reads.
_READ_LOG_SECONDS = 60.0


class Database:
    """One SQLite file.

    Attributes:
        driver: The driver's connection, the only one that writes.
        health: Whether the database accepts transactions.

    Args:
        path: The file; it and its folder are made, for their owner alone, if they do not exist.
        synchronous: ``normal``, or ``full`` if a commit has to outlive a power failure too.

    Raises:
        StoreUnavailableError: The file cannot be opened, is damaged, another program's, or of a later
            version; or this Python's SQLite is too old.
    """

    def __init__(self, path: Path, synchronous: str = "normal") -> None:
        self.path = path
        self.health = Health()
        self._patience = LOCK_TIMEOUT_SECONDS
        self._next_look = self._next_read_log = 0.0
        if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
            oldest = ".".join(map(str, _OLDEST_SQLITE))
            raise StoreUnavailableError(
                f"this Python has SQLite {sqlite3.sqlite_version}, and {oldest} or later is needed: "
                "use a Python that was built with a later one"
            )
        try:
            check_ownership(path)
            make_private_folder(path.parent)
            self.driver: Driver = connect(path, synchronous)
            try:
                self._migrate()
                self._files = OpenFiles(path)
                self._checkpointer = Checkpointer(path)
            except BaseException:
                self.driver.close()
                raise
        except UnusableDatabaseError:
            raise
        except (OSError, sqlite3.Error, StoreUnavailableError) as error:
            if is_damage(error):
                raise damaged(path, error) from error
            raise StoreUnavailableError(f"the database {path} cannot be opened: {error}") from error

    @cached_property
    def writer(self) -> Connection:
        """The writing connection for SQLAlchemy Core, whose statements join the driver's transactions."""
        from clearway_service.store.core_connection import connection_of  # noqa: PLC0415 - 0.2 s

        return connection_of(self.driver)

    def turn(self) -> AbstractContextManager[None]:
        """Return a transaction that may write and commits at the end of its block, for the writer's thread.

        Raises:
            StoreUnavailableError: The files are not in their places, the file stayed locked by others or is
                damaged, or the disk is full or broken. If the files were moved before the commit, the
                transaction may turn out to be in the database once they are back.
        """
        return _Turn(self)

    def _begin(self) -> None:
        if self.health.fault:
            self._refuse(self._files.fault())
            if self.health.lasting:
                raise StoreUnavailableError(self.health.fault)
        try:
            begin(self.driver, self._get_patience)
        except BaseException as error:
            self._failed(error)
            raise

    def _commit(self) -> None:
        try:
            self.driver.execute("COMMIT")
        except BaseException as error:
            self._failed(error)
            raise
        # A commit to a file that was gone by then is not reported as done.
        if (fault := self._files.fault()) is not None:
            self._refuse(fault)
        if self.health.fault:
            self.health.committed()

    def _failed(self, error: BaseException) -> None:
        """Roll a turn back, and note why it failed.

        Raises:
            StoreUnavailableError: The store is at fault, and ``error`` is not one itself.
        """
        self._roll_back()
        self._note(error)

    def _note(self, error: BaseException) -> None:
        """Note why a transaction failed, if the store is at fault.

        Raises:
            StoreUnavailableError: The store is at fault, and ``error`` is not one itself.
        """
        if isinstance(error, StoreUnavailableError):
            self.health.failed(error.message)
        elif isinstance(error, Exception) and is_damage(error) and self._files.fault() is None:
            # Each transaction that reads the damaged page would fail, and others would spread the damage.
            found = damaged(self.path, error)
            self.health.failed(found.message, lasting=True)
            raise found from error
        elif isinstance(error, Exception) and (fault := fault_of(error)):
            message = f"the transaction on the database {self.path} failed: {fault}"
            self.health.failed(message)
            raise StoreUnavailableError(message) from error

    @contextmanager
    def _transaction(self, patience: Callable[[], float] | None = None) -> Iterator[None]:
        begin(self.driver, patience or self._get_patience)
        try:
            yield
            self.driver.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def _get_patience(self) -> float:
        return self._patience

    def _roll_back(self) -> None:
        """Roll back; a failure is left to the next transaction, so that the first error is reported."""
        try:
            if self.driver.in_transaction:
                self.driver.execute("ROLLBACK")
        except sqlite3.Error as error:
            logger.debug("a transaction could not be rolled back yet: %s", error)

    def _refuse(self, fault: Fault | None) -> None:
        """Raise if the files are not in place. Called by the writer's thread."""
        if fault is None:
            return
        self.health.failed(fault.message)
        if fault.log_deleted and not self.driver.in_transaction:
            # Reported decisions are in the deleted log only; the database at the path can still get them.
            move_log(self.driver)
        raise StoreUnavailableError(fault.message)

    def look(self) -> None:
        """Check the files, or try a transaction while the database is unhealthy and may recover.

        Called by the writer's thread while it is idle. Does nothing if the last check was less than
        ``LOOK_SECONDS`` ago.
        """
        now = time.monotonic()
        if now < self._next_look or self.health.lasting:
            return
        self._next_look = now + LOOK_SECONDS
        try:
            self._refuse(self._files.fault())
            if self.health.fault:
                with self._transaction(lambda: 0.0):
                    write_nothing(self.driver)
                self.health.committed()
        except (StoreUnavailableError, sqlite3.Error) as error:
            self.health.failed(self.health.fault or str(error))

    def hurry(self) -> None:
        """Shorten the wait for other processes: the database is about to be closed. Safe from any thread."""
        self._patience = _LAST_PATIENCE_SECONDS

    def _migrate(self) -> None:
        """Bring the database to the schema of this version, and mark it as Clearway's.

        Quick if it has that schema already, or none.

        Raises:
            StoreUnavailableError: A later version or another program wrote the database.
        """
        with self._transaction():
            application, tables = facts_of(self.driver)
            if not tables:
                # Alembic would create the same schema, but importing it takes longer than everything else
                # here.
                for statement in statements.SCHEMA:
                    self.driver.execute(statement)
                self.driver.execute(statements.INSERT_VERSION, (migrations.HEAD,))
            elif not is_ours(application, tables):
                raise foreign(self.path)
            elif (revision := self._revision()) != migrations.HEAD:
                check_revision(self.path, revision)
                from clearway_service.store.core_connection import upgrade  # noqa: PLC0415 - see above

                upgrade(self.writer)
            if application != APPLICATION_ID:
                mark(self.driver)

    def _revision(self) -> str:
        row = self.driver.execute(statements.VERSION).fetchone()
        return str(row[0]) if row else ""

    def data_version(self) -> int:
        """Return a number that changes when another connection commits to the file.

        It is -1 if it cannot be read: for a moment, while another process recovers the file after a crash.
        """
        try:
            version: int = self.driver.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error:
            return -1
        return version

    def committed(self) -> None:
        """Notify of a commit by the writer. Called by the writer's thread."""
        self._checkpointer.committed(self.driver.total_changes)

    async def read(self, query: Executable) -> list[tuple[Any, ...]]:
        """Return the rows of a query that decides nothing, on a connection beside the writer's.

        Raises:
            StoreUnavailableError: The files are not in place, or the query failed.
        """
        async with self._reading() as reader:
            return await reader.read(query)

    async def read_while(
        self, query: Executable, take: Callable[[tuple[Any, ...]], bool], client: object = None
    ) -> None:
        """Pass the rows of a query that decides nothing to ``take``, in order, until it returns False.

        Args:
            query: The query.
            take: Called with each row, on the event loop.
            client: The client that lists; None for callers within this process. Few lists are read at a time,
                alternating between clients.

        Raises:
            StoreUnavailableError: The files are not in place, or the query failed.
        """
        async with self._reading() as reader:
            await reader.read_while(query, take, client)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Reader]:
        from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - the query's author has loaded it

        await self._refuse_read()
        try:
            yield self._reader
        except SQLAlchemyError as error:
            reason = reason_of(error)
            await self._refuse_read()
            if not fault_of(error):
                logger.exception("a query failed")
            elif time.monotonic() >= self._next_read_log:
                self._next_read_log = time.monotonic() + _READ_LOG_SECONDS
                logger.error("the database %s cannot be read: %s", self.path, reason)  # noqa: TRY400 - see above
            raise StoreUnavailableError(f"the database query failed: {reason}") from error
        await self._refuse_read()

    async def _refuse_read(self) -> None:
        """Raise if the files are not in place: a file opened at the path could be another one."""
        fault = self._files.fault()
        if fault is not None:
            self.health.failed(fault.message)
            await self.close_reader()
            raise StoreUnavailableError(fault.message)

    @cached_property
    def _reader(self) -> Reader:
        # It imports SQLAlchemy, which a flow that reads nothing need not wait for.
        from clearway_service.store.reading import Reader  # noqa: PLC0415

        return Reader(self.path)

    async def close_reader(self) -> None:
        """Close the reading connections that are idle."""
        if "_reader" in self.__dict__:
            self._reader.dispose()

    def close(self) -> None:
        """Close the writing connection; reads fail from now on."""
        if "_reader" in self.__dict__:
            self._reader.close()
        self._checkpointer.close()
        if "writer" in self.__dict__:
            self.writer.close()
            self.writer.engine.dispose()
        self.driver.close()
        self._files.close()


class _Turn(AbstractContextManager[None]):
    """A turn of the writer. A class, since a generator's context takes twice the time, with each decision."""

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> None:
        self._database._begin()  # noqa: SLF001 - part of it

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._database._commit()  # noqa: SLF001
        else:
            self._database._failed(error)  # noqa: SLF001
