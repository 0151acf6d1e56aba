"""Copies of a database: making one while others write, checking it, reading what a backup needs of it."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from google.protobuf.message import DecodeError

from clearway.v1 import state_pb2
from clearway_service.errors import StoreUnavailableError
from clearway_service.store.ownership import check_ownership, check_revision, damaged, facts_of, is_ours
from clearway_service.store.sqlite import existing, fault_of, is_damage

T = TypeVar("T")

_TABLES = frozenset({"alembic_version", "flow_run", "task_run", "state", "session"})
_KINDS = ("table", "index")
# The forms that SQLite itself writes.
_MADE_BY = ("CREATE TABLE ", "CREATE INDEX ", "CREATE UNIQUE INDEX ")
# Before revision 0003, references to results were only in the states.
_DATA_BEFORE_0003 = (
    "SELECT data FROM state WHERE instr(data, CAST(? AS BLOB)) "
    "AND id NOT IN (SELECT state_id FROM dropped_result)"
)
_CHECKS = ("integrity_check", "foreign_key_check")
_SOUND = [("ok",)]
# A server or a flow never blocks readers; a program that does is reported soon.
_LOCK_TIMEOUT_SECONDS = 10.0
# How soon Ctrl-C is noticed while SQLite works.
_ATTENTION_SECONDS = 0.2


class Contents(NamedTuple):
    """What a database contains.

    Attributes:
        revision: The revision of its schema.
        flow_runs: The number of flow runs.
        task_runs: The number of task runs.
    """

    revision: str
    flow_runs: int
    task_runs: int


def copy_database(source: Path, target: Path) -> None:
    """Write a consistent copy of a database while others read and write it.

    The copy is a snapshot of one moment, and does not block writers. SQLite's online backup is not used: it
    starts again from the first page with each commit of another process, and so may never end.

    Args:
        source: The database.
        target: A new or empty file.

    Raises:
        StoreUnavailableError: The source is not a database of this version, stayed locked, or cannot be read;
            or there is no room for the copy.
    """
    check_ownership(source)
    with _opened(source, existing(source)) as connection:
        _run(connection, partial(contents_of, connection, source))
        try:
            # As bytes, since a path need not be UTF-8.
            name = os.fsencode(target)
            _run(connection, lambda: connection.execute("VACUUM INTO CAST(? AS TEXT)", (name,)))
        except sqlite3.Error as error:
            if is_damage(error):
                raise damaged(source, error) from error
            raise StoreUnavailableError(
                f"the database {source} cannot be copied to {target.parent}: {fault_of(error) or error}"
            ) from error
    with _opened(target, existing(target)) as connection:
        # Nothing else has it open, and the parts that are kept are synced to disk later.
        connection.execute("PRAGMA journal_mode=MEMORY")
        connection.execute("PRAGMA synchronous=OFF")
        # The processes keep using the original: whether they are alive says nothing about the copy's
        # sessions.
        _run(connection, lambda: connection.execute("UPDATE session SET process = ''"))


def check_copy(path: Path) -> Contents:
    """Return the contents of a copy, which nothing else has open.

    Raises:
        StoreUnavailableError: The copy is damaged, or not a database of this version.
    """
    with _opened(path, _unshared(path)) as connection:
        contents = _run(connection, partial(contents_of, connection, path))
        for check in _CHECKS:
            found = _run(connection, partial(_all, connection, f"PRAGMA {check}"))
            if found not in ([], _SOUND):
                first = " ".join(str(each) for each in found[0])
                raise StoreUnavailableError(f"the database is damaged; SQLite's {check} found: {first}")
        return contents


def contents_of(connection: sqlite3.Connection, path: Path) -> Contents:
    """Return the contents of a database.

    Raises:
        StoreUnavailableError: It is not a database of this version or an earlier one, or has triggers or
            views.
    """
    application, tables = facts_of(connection)
    if not (is_ours(application, tables) and tables >= _TABLES):
        raise StoreUnavailableError(f"{path} is not a Clearway database")
    _check_objects(connection, path)
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    revision = str(row[0]) if row else ""
    check_revision(path, revision)
    flow_runs, task_runs = connection.execute(
        "SELECT (SELECT count(*) FROM flow_run), (SELECT count(*) FROM task_run)"
    ).fetchone()
    return Contents(revision, flow_runs, task_runs)


def result_locations(path: Path, scheme: str) -> Iterator[str]:
    """Yield the result locations that begin with ``scheme`` and that the states of a copy refer to.

    The locations are what clients sent. Results that were deleted as orphans are left out.
    """
    with _opened(path, _unshared(path)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        if ("stored_result",) in tables.fetchall():
            query = "SELECT location FROM stored_result WHERE substr(location, 1, ?) = ?"
            for (location,) in connection.execute(query, (len(scheme), scheme)):
                yield str(location)
            return
        for (body,) in connection.execute(_DATA_BEFORE_0003, (scheme,)):
            try:
                location = state_pb2.Data.FromString(body).location
            except DecodeError:
                continue
            if location.startswith(scheme):
                yield location


def _check_objects(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse triggers, views and virtual tables: they are programs, which the server would run.

    Objects are recognized by their SQL, which is all that SQLite itself reads of them.
    """
    for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_master"):
        if kind not in _KINDS or not (sql is None or str(sql).startswith(_MADE_BY)):
            word = kind if kind in ("trigger", "view") else "object"
            raise StoreUnavailableError(
                f"{path} has the {word} {str(name)[:80]!r}, and a Clearway database has tables and indexes "
                "only; drop it from the database that is backed up"
            )


def _all(connection: sqlite3.Connection, statement: str) -> list[tuple[object, ...]]:
    return connection.execute(statement).fetchall()


def _unshared(path: Path) -> str:
    """Return the URI of a file that no process writes: it is read without locks or new files."""
    return f"{path.absolute().as_uri()}?mode=ro&immutable=1"


@contextmanager
def _opened(path: Path, uri: str) -> Iterator[sqlite3.Connection]:
    try:
        with closing(
            sqlite3.connect(
                uri, timeout=_LOCK_TIMEOUT_SECONDS, isolation_level=None, uri=True, check_same_thread=False
            )
        ) as connection:
            yield connection
    except sqlite3.Error as error:
        reason = fault_of(error) or str(error)
        raise StoreUnavailableError(f"the database {path} cannot be read: {reason}") from error


def _run(connection: sqlite3.Connection, work: Callable[[], T]) -> T:
    """Run ``work`` on another thread, so that Ctrl-C can end the current statement; return its result."""
    running: Future[T] = Future()

    def do() -> None:
        if running.set_running_or_notify_cancel():
            try:
                running.set_result(work())
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is wanted
                running.set_exception(error)

    try:
        # Not an executor: an interrupt during its submit would leave a thread that nothing waits for and that
        # uses the connection while it is closed.
        threading.Thread(target=do, name="clearway-copy").start()
        while not wait([running], _ATTENTION_SECONDS).done:
            pass
    except BaseException:
        while not (running.cancel() or running.done()):
            with suppress(KeyboardInterrupt, SystemExit):  # one is enough
                connection.interrupt()
                wait([running], _ATTENTION_SECONDS)
        raise
    return running.result()
