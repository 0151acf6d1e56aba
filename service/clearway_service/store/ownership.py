"""Ownership: whether a SQLite file is a Clearway database, found out without changing it.

The mark is SQLite's ``application_id``, in the file's header. Databases of versions before the mark are
recognized by their tables, and marked when they are opened.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Set as AbstractSet
from contextlib import closing
from pathlib import Path
from typing import Any

from clearway_service import __version__
from clearway_service.errors import StoreUnavailableError
from clearway_service.store import migrations

# Marks a file as Clearway's: a number that no other program registered with SQLite.
APPLICATION_ID = int.from_bytes(b"CLRW", "big")
# Tables that every version has had.
_TABLES = frozenset(
    {"alembic_version", "flow_run", "task_run", "state", "session", "slot", "waiter", "concurrency_limit"}
)


class UnusableDatabaseError(StoreUnavailableError):
    """A file cannot be used as this version's database; the message names it and is a whole sentence."""


def check_ownership(path: Path) -> None:
    """Do nothing if a file is a Clearway database, is empty, or is not there.

    It is not changed, and no file is made beside it.

    Raises:
        UnusableDatabaseError: It is another program's, damaged, or no regular file.
        OSError: It cannot be reached.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode):
        what = "a directory" if stat.S_ISDIR(found.st_mode) else "not a regular file"
        raise UnusableDatabaseError(f"the database {path} is {what}; name a SQLite file, or a new one")
    if found.st_size == 0:
        return
    try:
        application, tables = _look(path)
    except sqlite3.OperationalError as error:
        raise UnusableDatabaseError(f"the database {path} cannot be opened: {error}") from error
    except sqlite3.DatabaseError as error:
        raise damaged(path, error) from error
    if not is_ours(application, tables) and (application or tables):
        raise foreign(path)


def check_revision(path: Path, revision: str) -> None:
    """Do nothing if this version knows a schema revision.

    Raises:
        UnusableDatabaseError: A later version wrote the database.
    """
    if revision not in migrations.known():
        raise UnusableDatabaseError(
            f"the database {path} was written by a later version of Clearway: it has the schema revision "
            f"{revision[:40]!r}, which this version of Clearway does not know ({__version__}); "
            "upgrade Clearway"
        )


def is_ours(application: int, tables: AbstractSet[str]) -> bool:
    """Return whether a database is Clearway's, by its mark or, if it has none, by its tables."""
    return application == APPLICATION_ID or (application == 0 and tables >= _TABLES)


def facts_of(connection: Any) -> tuple[int, frozenset[str]]:
    """Return a database's mark and its tables.

    Raises:
        sqlite3.Error: It cannot be read.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return application, frozenset(name for (name,) in rows)


def mark(connection: Any) -> None:
    """Mark a database as Clearway's, in the present transaction."""
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")


def foreign(path: Path) -> UnusableDatabaseError:
    """Return the error for a database of another program."""
    return UnusableDatabaseError(
        f"{path} is not a Clearway database: it is a SQLite file of another program, and was left as it is; "
        "name another file by CLEARWAY_DATABASE or --database"
    )


def damaged(path: Path, reason: object) -> UnusableDatabaseError:
    """Return the error for a database that SQLite cannot read."""
    return UnusableDatabaseError(
        f"the database {path} is damaged, or not a database at all ({reason}): move it away, and put a "
        "backup in its place with `clearway restore`"
    )


def _look(path: Path) -> tuple[int, frozenset[str]]:
    file, has_log = path.absolute().as_uri(), _has_log(path)
    try:
        # Without locks, and without the log: SQLite would make files to read that.
        found = _facts(f"{file}?mode=ro&immutable=1")
    except sqlite3.DatabaseError:
        if not has_log:
            raise
    else:
        if any(found) or not has_log:
            return found
    # It is in use, or its process was killed: all of it may be in the log still.
    return _facts(f"{file}?mode=ro")


def _facts(uri: str) -> tuple[int, frozenset[str]]:
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
        return facts_of(connection)


def _has_log(path: Path) -> bool:
    # SQLite keeps it beside the file itself, where the path is a link.
    try:
        return os.stat(f"{os.path.realpath(path)}-wal").st_size > 0  # noqa: PTH116 - no Path is at hand
    except OSError:
        return False
