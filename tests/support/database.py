"""Inspecting and locking a service's SQLite file from outside."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RUNNING = 3


def rows(database: Path, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Return the rows of ``query``."""
    with contextlib.closing(sqlite3.connect(database, timeout=30)) as connection:
        return connection.execute(query, parameters).fetchall()


def row_counts(database: Path) -> dict[str, int]:
    """Return the number of rows of each table."""
    names = [name for (name,) in rows(database, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {name: rows(database, f"SELECT count(*) FROM {name}")[0][0] for name in sorted(names)}


class Contents:
    """The contents of a database, for comparing them at different times.

    Args:
        database: The SQLite file.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._connection = sqlite3.connect(database, timeout=30, isolation_level=None)
        self._version = -1
        self._rows: dict[str, list[tuple[Any, ...]]] = {}

    def now(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return all rows of all tables except those that change with time: sessions and the timeline."""
        version = self._connection.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            names = row_counts(self._database).keys() - {"session", "timeline"}
            self._rows = {
                name: sorted(self._connection.execute(f"SELECT * FROM {name}").fetchall(), key=repr)
                for name in names
            }
            self._version = version
        return self._rows

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def contents(database: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return the current contents, as ``Contents`` does."""
    with contextlib.closing(Contents(database)) as found:
        return found.now()


@contextlib.contextmanager
def locked(database: Path) -> Iterator[None]:
    """Lock the database, so that everything submitted meanwhile is decided in one batch."""
    with contextlib.closing(sqlite3.connect(database, timeout=30, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def most_running(database: Path, tag: str) -> int:
    """Return the largest number of runs with ``tag`` that were Running at once, by their histories.

    If one run left Running in the same microsecond in which another entered it, the leaving counts first,
    since both happened in one transaction.
    """
    query = """
        SELECT state.run_id, state.ordinal, state.type, state.timestamp FROM state
        JOIN task_run ON task_run.id = state.run_id
        JOIN task_run_tag ON task_run_tag.run_seq = task_run.seq AND task_run_tag.tag = ?
        WHERE state.kind = 'task' ORDER BY state.run_id, state.ordinal
    """
    changes: list[tuple[int, int]] = []
    run, was_running = "", False
    for run_id, _ordinal, type_, timestamp in rows(database, query, tag):
        if run_id != run:
            run, was_running = run_id, False
        if (type_ == RUNNING) != was_running:
            was_running = type_ == RUNNING
            changes.append((timestamp, 1 if was_running else -1))
    running = most = 0
    for _timestamp, change in sorted(changes):
        running += change
        most = max(most, running)
    return most


def history_gaps(database: Path) -> list[tuple[Any, ...]]:
    """Return the runs with gaps in their histories, or whose state is not the last of the history."""
    return rows(
        database,
        """
        SELECT run.id, run.ordinal, count(state.id), max(state.ordinal), run.state_type FROM
        (SELECT id, ordinal, state_id, state_type FROM task_run
         UNION ALL SELECT id, ordinal, state_id, state_type FROM flow_run) AS run
        LEFT JOIN state ON state.run_id = run.id
        GROUP BY run.id
        HAVING count(state.id) != run.ordinal OR max(state.ordinal) != run.ordinal
            OR (SELECT id FROM state AS last WHERE last.run_id = run.id AND last.ordinal = run.ordinal)
               != run.state_id
            OR (SELECT type FROM state AS last WHERE last.run_id = run.id AND last.ordinal = run.ordinal)
               != run.state_type
        """,
    )


def slots_of_the_dead(database: Path) -> list[tuple[Any, ...]]:
    """Return the slots that are held by runs that are not Running."""
    return rows(
        database,
        """
        SELECT slot.tag, slot.task_run_id FROM slot
        LEFT JOIN task_run ON task_run.id = slot.task_run_id
        WHERE task_run.state_type IS NOT 3
        """,
    )
