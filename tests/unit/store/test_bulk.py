"""Many rows in few statements."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from clearway_service.store import given_rows
from clearway_service.store.bulk import execute_rows

INSERT = "INSERT INTO run (id, name, count) VALUES (?, ?, ?)"


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute(
            "CREATE TABLE run (seq INTEGER PRIMARY KEY, id TEXT UNIQUE, name TEXT, count INTEGER)"
        )
        yield connection


def all_of(database: sqlite3.Connection) -> list[tuple[str, str, int]]:
    return database.execute("SELECT id, name, count FROM run ORDER BY seq").fetchall()


@pytest.mark.parametrize("count", [0, 1, 2, 63, 64, 65, 1000])
def test_all_rows_are_inserted_in_their_order_by_few_statements(
    database: sqlite3.Connection, count: int
) -> None:
    rows = [(f"id {number}", "made", number) for number in range(count)]
    seen: list[str] = []
    database.set_trace_callback(seen.append)
    execute_rows(database, INSERT, rows)
    database.set_trace_callback(None)
    assert all_of(database) == rows
    assert len(seen) <= count // 64 + 6


def test_rows_are_updated_each_with_its_own_values(database: sqlite3.Connection) -> None:
    execute_rows(database, INSERT, [(f"id {number}", "made", 0) for number in range(100)])
    changed = [(f"name {number}", number, f"id {number}") for number in range(0, 100, 3)]
    execute_rows(database, given_rows.update("run", "id", ("name", "count")), changed)
    after = {id_: (name, count) for id_, name, count in all_of(database)}
    assert {id_: values for id_, values in after.items() if values != ("made", 0)} == {
        id_: (name, count) for name, count, id_ in changed
    }


def test_a_value_may_be_added_to_what_a_row_has(database: sqlite3.Connection) -> None:
    execute_rows(database, INSERT, [("a", "made", 1), ("b", "made", 2), ("c", "made", 3)])
    sql = given_rows.update("run", "id", ("count", "name"), added="count")
    execute_rows(database, sql, [(10, "hit", "a"), (20, "hit", "c")])
    assert all_of(database) == [("a", "hit", 11), ("b", "made", 2), ("c", "hit", 23)]


def test_rows_are_deleted_by_one_column_or_by_several_together(database: sqlite3.Connection) -> None:
    execute_rows(database, INSERT, [("a", "x", 1), ("b", "x", 1), ("c", "y", 2), ("d", "x", 2)])
    execute_rows(database, given_rows.delete("run", ("name", "count")), [("x", 2), ("y", 1)])
    assert [id_ for id_, *_ in all_of(database)] == ["a", "b", "c"]
    execute_rows(database, given_rows.delete("run", ("id",)), [("a",), ("c",), ("unknown",)])
    assert [id_ for id_, *_ in all_of(database)] == ["b"]
