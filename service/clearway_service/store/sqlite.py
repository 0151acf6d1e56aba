"""SQLite: how its file is opened, how its transactions begin, and what else is its own."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, String, bindparam, column, func, literal_column, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Connection, Engine, create_engine
from sqlalchemy.event import listen
from sqlalchemy.pool import StaticPool

from clearway_service.errors import StoreUnavailableError

DIALECT = sqlite.dialect(paramstyle="qmark")

# How long a transaction waits for those of other processes, and how long it sleeps between looks. SQLite's
# own busy handler sleeps up to 100 ms at a time, which would make a hand-off that much slower.
LOCK_TIMEOUT_SECONDS = 60.0
_FIRST_SLEEP_SECONDS = 0.0002
_LONGEST_SLEEP_SECONDS = 0.005


def writer_engine(path: Path, synchronous: str = "normal") -> Engine:
    """Return the engine of the one connection that writes to the file at ``path``.

    Args:
        path: The file.
        synchronous: SQLite's pragma: ``normal``, or ``full`` to wait for the disk with each commit.
    """

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=LOCK_TIMEOUT_SECONDS, check_same_thread=False)
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute("PRAGMA cache_size=-65536")
        connection.execute("PRAGMA busy_timeout=0")
        connection.execute("PRAGMA wal_autocheckpoint=0")  # see ``checkpoints``
        return connection

    engine = create_engine("sqlite://", creator=connect, poolclass=StaticPool)
    listen(engine, "begin", begin_immediate)
    return engine


def begin_immediate(connection: Connection) -> None:
    """Begin a transaction that may write; as ``begin``."""
    begin(connection.connection.driver_connection)


def begin(driver: Any) -> None:
    """Begin a transaction that may write, waiting for the transactions of other processes.

    Args:
        driver: The driver's connection.

    Raises:
        StoreUnavailableError: The file stayed locked for ``LOCK_TIMEOUT_SECONDS``.
    """
    deadline = time.monotonic() + LOCK_TIMEOUT_SECONDS
    sleep = _FIRST_SLEEP_SECONDS
    while True:
        try:
            if driver.in_transaction:  # where the last one failed so badly that it could not be rolled back
                driver.execute("ROLLBACK")
            driver.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not is_locked(error):
                raise
            if time.monotonic() > deadline:
                raise StoreUnavailableError(
                    f"the database stayed locked by another process for {LOCK_TIMEOUT_SECONDS:.0f} s"
                ) from error
            time.sleep(sleep)
            sleep = min(2 * sleep, _LONGEST_SLEEP_SECONDS)
        else:
            return


def is_locked(error: sqlite3.OperationalError) -> bool:
    """Return whether ``error`` says that another connection has the file locked."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def members(of: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Return "``of`` is one of parameter ``name``", a JSON array, so that one statement serves any number."""
    values = func.json_each(bindparam(name)).table_valued("value")
    return of.in_(select(values.c.value))


def json_values(values: Iterable[str]) -> Any:
    """Return ``values``, however many they are, as a table with the column ``value``."""
    return func.json_each(json.dumps(list(values))).table_valued("value")


def one_of(of: ColumnElement[Any], values: Iterable[str]) -> ColumnElement[bool]:
    """Return "``of`` is one of ``values``", however many they are."""
    return of.in_(select(json_values(values).c.value))


def json_rows(name: str, width: int) -> tuple[Any, list[ColumnElement[str]]]:
    """Return parameter ``name``, a JSON array of arrays, as a table, and its ``width`` columns."""
    values = func.json_each(bindparam(name)).table_valued(column("value", String), name=name)
    return values, [
        func.json_extract(values.c.value, literal_column(f"'$[{index}]'")) for index in range(width)
    ]
