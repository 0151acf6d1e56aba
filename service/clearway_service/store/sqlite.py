"""SQLite specifics: how its file is opened, how its transactions begin, how its errors are classified."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clearway_service.errors import StoreUnavailableError

# How many statements stay prepared: each bulk statement exists for several numbers of rows.
_PREPARED = 512
# How long a transaction waits for those of other processes, and how long it sleeps between attempts. SQLite's
# own busy handler sleeps up to 100 ms at a time, which would make a hand-off that much slower.
LOCK_TIMEOUT_SECONDS = 60.0
_FIRST_SLEEP_SECONDS = 0.0002
_LONGEST_SLEEP_SECONDS = 0.005
# Errors that do not depend on a transaction's content: the next transaction would fail as well.
_FAULTS = frozenset(
    {
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)

_PRIVATE = 0o600
_making = threading.Lock()


class Driver(sqlite3.Connection):
    """A connection whose transactions begin and end by statements alone, whatever else uses it."""

    def commit(self) -> None:
        """Do nothing."""

    def rollback(self) -> None:
        """Do nothing."""


def connect(path: Path, synchronous: str = "normal") -> Driver:
    """Return the one connection that writes to the file at ``path``.

    Args:
        path: The file; made, for its owner alone, if it does not exist.
        synchronous: SQLite's pragma: ``normal``, or ``full`` to wait for the disk with each commit.

    Raises:
        OSError: The file cannot be made.
        sqlite3.Error: It cannot be opened, or is no database.
    """
    _make(path)
    connection = sqlite3.connect(
        path,
        timeout=LOCK_TIMEOUT_SECONDS,
        check_same_thread=False,
        isolation_level=None,
        factory=Driver,
        cached_statements=_PREPARED,
    )
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={synchronous}")
    connection.execute("PRAGMA cache_size=-65536")
    connection.execute("PRAGMA busy_timeout=0")
    connection.execute("PRAGMA wal_autocheckpoint=0")  # see ``checkpoints``
    return connection


def _make(path: Path) -> None:
    """Make an empty file that only its owner can read; SQLite gives the same mode to the files beside it."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    # To close any descriptor of a file ends SQLite's locks on it in this process: no other thread may have
    # opened it meanwhile.
    with _making:
        try:
            os.close(os.open(os.path.realpath(path), flags, _PRIVATE))
        except FileExistsError:
            return


def existing(path: Path) -> str:
    """Return the URI that opens the file at ``path`` for reading and writing, and never creates it."""
    return f"{path.absolute().as_uri()}?mode=rw"


def begin(driver: Any, patience: Callable[[], float] = lambda: LOCK_TIMEOUT_SECONDS) -> None:
    """Begin a transaction that may write, waiting for the transactions of other processes.

    Args:
        driver: The driver's connection.
        patience: Returns how many seconds to wait; called again while waiting, since it may have changed.

    Raises:
        StoreUnavailableError: The file stayed locked for that long.
    """
    begun = time.monotonic()
    sleep = _FIRST_SLEEP_SECONDS
    while True:
        try:
            if driver.in_transaction:  # if the last one failed so badly that it could not be rolled back
                driver.execute("ROLLBACK")
            driver.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not is_locked(error):
                raise
            waited = time.monotonic() - begun
            if waited > patience():
                raise StoreUnavailableError(
                    f"the database stayed locked by another process for {waited:.0f} s"
                ) from error
            time.sleep(sleep)
            sleep = min(2 * sleep, _LONGEST_SLEEP_SECONDS)
        else:
            return


def is_locked(error: sqlite3.OperationalError) -> bool:
    """Return whether ``error`` says that another connection has the file locked."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def is_damage(error: Exception) -> bool:
    """Return whether an error of SQLite's or SQLAlchemy's says that the file is damaged, or no database."""
    reason = getattr(error, "orig", None) or error
    code = getattr(reason, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def fault_of(error: Exception) -> str:
    """Return the store's fault that a SQLite or SQLAlchemy error reports; empty for other errors."""
    reason = getattr(error, "orig", None) or error
    code = getattr(reason, "sqlite_errorcode", 0) & 0xFF
    if not isinstance(reason, sqlite3.Error) or code not in _FAULTS:
        return ""
    return f"{reason}; make room on its disk" if code == sqlite3.SQLITE_FULL else str(reason)


def write_nothing(driver: Any) -> None:
    """Write what is there already, in the current transaction, which commits only if there is room."""
    (version,) = driver.execute("PRAGMA user_version").fetchone()
    driver.execute(f"PRAGMA user_version={version}")
