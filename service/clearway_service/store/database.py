"""The database: opening it, bringing its schema up to date, one connection that writes, others that read."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Executable, MetaData, String, Table, inspect, select
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from clearway_service.errors import StoreUnavailableError
from clearway_service.store import migrations, schema
from clearway_service.store.checkpoints import Checkpointer
from clearway_service.store.sqlite import begin, writer_engine

logger = logging.getLogger(__name__)

# The first one that updates rows from others, of August 2020.
_OLDEST_SQLITE = (3, 33, 0)

# Where Alembic keeps the revision, as it makes it.
_version = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
_version.primary_key.name = "alembic_version_pkc"

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine


class Database:
    """One SQLite file.

    Attributes:
        writer: The one connection that writes.
        driver: The same, as the driver has it, for statements that are compiled already.

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
            self._engine = writer_engine(path, synchronous)
            self.writer: Connection = self._engine.connect()
            self.driver: Any = self.writer.connection.driver_connection
            migrate(self.writer)
            self._checkpointer = Checkpointer(path)
        except (OSError, SQLAlchemyError) as error:
            reason = getattr(error, "orig", None) or error
            raise StoreUnavailableError(f"cannot open the database {path}: {reason}") from error

    @contextmanager
    def turn(self, *, core: bool) -> Iterator[None]:
        """Hold a transaction that may write, committed in the end. Used by the writer's thread.

        Args:
            core: Whether statements of SQLAlchemy are executed in it. Without, the driver does it alone, in a
                tenth of a millisecond less.

        Raises:
            StoreUnavailableError: The file stayed locked by others.
        """
        if core:
            with self.writer.begin():
                yield
            return
        begin(self.driver)
        try:
            yield
            self.driver.execute("COMMIT")
        except BaseException:
            if self.driver.in_transaction:
                self.driver.execute("ROLLBACK")
            raise

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
        try:
            async with self._reader.connect() as connection:
                return [tuple(row) for row in await connection.execute(query)]
        except SQLAlchemyError as error:
            logger.exception("a query failed")
            reason = getattr(error, "orig", None) or error
            raise StoreUnavailableError(f"the database did not answer: {reason}") from error

    @cached_property
    def _reader(self) -> AsyncEngine:
        # It brings the ORM with it, which a flow that reads nothing need not wait for.
        from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415

        return create_async_engine(
            f"sqlite+aiosqlite:///{self.path}", connect_args={"timeout": 30}, pool_size=4
        )

    async def close_reader(self) -> None:
        """Close the connections that read."""
        if "_reader" in self.__dict__:
            await self._reader.dispose()

    def close(self) -> None:
        """Close the connection that writes."""
        self._checkpointer.close()
        self.writer.close()
        self._engine.dispose()


def migrate(connection: Connection) -> None:
    """Bring the database to the schema of this version. Quick where it is there already, or nothing is.

    Raises:
        StoreUnavailableError: The database was written by a later version.
    """
    with connection.begin():
        revision = _revision(connection)
        if revision == migrations.HEAD:
            return
        if revision is None and not inspect(connection).get_table_names():
            # What Alembic makes of nothing is the same, but it takes longer to import than all else here.
            schema.metadata.create_all(connection, checkfirst=False)
            _version.create(connection)
            connection.execute(_version.insert().values(version_num=migrations.HEAD))
        else:
            upgrade(connection)


def upgrade(connection: Connection) -> None:
    """Run the migrations that the database has not seen yet, in the caller's transaction.

    Raises:
        StoreUnavailableError: The database was written by a later version.
    """
    from alembic import command  # noqa: PLC0415 - only where there is something to do
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", os.fspath(Path(migrations.__file__).parent))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, migrations.HEAD)
    except CommandError as error:
        raise StoreUnavailableError(
            f"the database has revision {_revision(connection)}, which this version does not know"
        ) from error


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_version.name):
        return None
    revision: str | None = connection.scalar(select(_version.c.version_num))
    return revision
