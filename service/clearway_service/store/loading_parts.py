"""Functions that several loading modules need."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cache
from typing import Any, Protocol

from clearway_service.core.runs import RunKind, TaskRunSpec
from clearway_service.core.snapshot import RunEntry, Snapshot
from clearway_service.core.states import State
from clearway_service.store import rendered_statements as statements
from clearway_service.store.rows import Row, task_run_from

_MEMBERS = re.compile(r"IN \(SELECT anon_1\.value\s+FROM json_each\(\?\) AS anon_1\)")


class Cursor(Protocol):
    """The part of the driver's connection that loading uses."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Any:
        """Execute ``sql`` and return its rows."""


class TooLargeError(Exception):
    """The rows that a batch needs are too large to be in memory at once."""


class Metered:
    """A cursor that counts the bytes of the rows that it returns.

    Args:
        cursor: The cursor.
        most: The maximum bytes of text and data in its rows; beyond it, ``TooLargeError`` is raised.
    """

    def __init__(self, cursor: Cursor, most: int) -> None:
        self._cursor = cursor
        self.left = most

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> _MeteredRows:
        """Execute ``sql`` and return its rows."""
        return _MeteredRows(self, self._cursor.execute(sql, parameters))


class _MeteredRows:
    def __init__(self, metered: Metered, rows: Any) -> None:
        self._metered = metered
        self._rows = rows

    def __iter__(self) -> Iterator[Any]:
        for row in self._rows:
            self._metered.left -= sum([len(value) for value in row if isinstance(value, str | bytes)])
            if self._metered.left < 0:
                raise TooLargeError
            yield row

    def fetchone(self) -> Any:
        """Return the next row, or None. A single row is not counted."""
        return self._rows.fetchone()


def array(values: Iterable[str]) -> str:
    """Return ``values`` as the JSON array that statements take."""
    return json.dumps(list(values))


def ids_array(ids: Iterable[str]) -> str:
    """Return UUIDs as the JSON array that statements take; UUIDs need no escaping."""
    joined = '","'.join(ids)
    return f'["{joined}"]' if joined else "[]"


def select_by_ids(cursor: Cursor, sql: str, ids: Collection[str]) -> Any:
    """Return the rows of a statement for UUIDs, which takes them as one JSON array.

    A single one is passed as it is, which takes half the time: most turns are for one run.
    """
    if not ids:
        return ()
    if len(ids) == 1:
        return cursor.execute(of_one(sql), tuple(ids))
    return cursor.execute(sql, (ids_array(ids),))


@cache
def of_one(sql: str) -> str:
    """Return a statement for an array of values as one for a single value."""
    single, found = _MEMBERS.subn("= ?", sql)
    assert found == 1, sql
    return single


def add_task_runs(snapshot: Snapshot, rows: Iterable[Row]) -> None:
    """Add those task runs of ``rows`` that are not in the snapshot yet."""
    for row in rows:
        run, progress = task_run_from(row)
        if run.id not in snapshot.runs:
            add_task_run(snapshot, RunEntry(RunKind.TASK, run, progress))


def add_task_run(snapshot: Snapshot, entry: RunEntry) -> None:
    """Add a task run."""
    run = entry.run
    assert isinstance(run, TaskRunSpec)
    snapshot.runs[run.id] = entry
    snapshot.task_runs_by_key[run.flow_run_id, run.task_key, run.dynamic_key] = run.id


def load_cache(cursor: Cursor, snapshot: Snapshot, keys: set[str], now: int) -> None:
    """Load the live entries of cache keys."""
    wanted = keys - snapshot.cache.keys() - {""}
    if wanted:
        for key, *columns in cursor.execute(statements.CACHE_BY_KEY, (array(wanted), now)):
            snapshot.cache[key] = State(*columns)
