"""Hot statements find their rows by index: none reads a table that grows from end to end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Select
from sqlalchemy.engine import Connection

from clearway_service.core.runs import RunKind
from clearway_service.store import queries, schema, statements
from clearway_service.store.ancestors import select_entangled
from clearway_service.store.cache import select_entry
from clearway_service.store.database import Database
from clearway_service.store.limits import set_limit
from clearway_service.store.logs import select_logs
from clearway_service.store.sessions import end_session
from clearway_service.store.slots import select_holders, select_place, select_waiting
from clearway_service.store.sqlite import DIALECT
from clearway_service.store.transaction import Transaction

# Tables that have a row for each run, state, line or key; what they are called in a plan is their own name.
BIG = {table.name for table in schema.metadata.sorted_tables} - {"concurrency_limit"}

HOT = {
    name: value
    for name, value in vars(statements).items()
    if isinstance(value, str) and re.match(r"(SELECT|UPDATE|DELETE|INSERT)\b", value)
}

READ: dict[str, Select[Any]] = {
    "a run": queries.select_run(RunKind.TASK, "id"),
    "runs by id": queries.select_runs_by_id(RunKind.TASK, ["a", "b"]),
    "a history": queries.select_history(RunKind.TASK, "id"),
    "a cache entry": select_entry("key", 1),
    "task runs of a flow run": queries.select_run_page(
        RunKind.TASK, queries.RunFilter(flow_run_id="id"), None, 100
    ),
    "holders": select_holders(["disk"]),
    "a queue": select_waiting("disk"),
    "a place": select_place("id"),
    "who is held up by an ancestor": select_entangled(["id"]),
    "a flow run's log": select_logs("id", "", 0, 0, 100),
    "a task run's log": select_logs("", "id", 0, 0, 100),
}


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    folder: Path = tmp_path_factory.mktemp("store")
    with closing(Database(folder / "store.db")) as database:
        yield database.writer


def scanned(connection: Connection, sql: str, parameters: Any) -> list[str]:
    """Return the steps of a statement's plan that read a big table from end to end."""
    driver: Any = connection.connection.driver_connection
    plan = [row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]
    return [step for step in plan if (found := re.match(r"SCAN (\w+)", step)) and found[1] in BIG]


def nothing(sql: str) -> list[None]:
    return [None] * sql.count("?")


def test_there_are_hot_statements() -> None:
    assert len(HOT) > 25


@pytest.mark.parametrize("name", sorted(HOT))
def test_a_hot_statement_scans_no_big_table(writer: Connection, name: str) -> None:
    assert scanned(writer, HOT[name], nothing(HOT[name])) == []


@pytest.mark.parametrize("name", sorted(READ))
def test_a_query_for_one_thing_scans_no_big_table(writer: Connection, name: str) -> None:
    sql = str(READ[name].compile(dialect=DIALECT, compile_kwargs={"literal_binds": True}))
    assert scanned(writer, sql, ()) == []


@pytest.mark.parametrize(
    "command", [end_session("id", "gone"), set_limit("disk", 1)], ids=["a session ends", "a limit is set"]
)
def test_what_a_command_does_scans_no_big_table(writer: Connection, command: Any) -> None:
    seen: list[str] = []
    driver: Any = writer.connection.driver_connection
    driver.set_trace_callback(seen.append)
    try:
        with writer.begin():
            command(Transaction(writer, 1, lambda: "made"))
    finally:
        driver.set_trace_callback(None)
    asked = [sql for sql in seen if re.match(r"(SELECT|UPDATE|DELETE|INSERT)\b", sql)]
    assert len(asked) > 2
    assert {sql: steps for sql in asked if (steps := scanned(writer, sql, ()))} == {}
