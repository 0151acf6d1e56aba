"""Statements with rows given as ``VALUES``, which SQLAlchemy Core does not render for SQLite.

SQLite names the columns of such rows column1, column2, ... The statements here are for one row; ``bulk``
turns them into statements for several. All names are those of our own tables.
"""
# ruff: noqa: S608 - nothing here comes from outside

from __future__ import annotations

from collections.abc import Sequence


def update(table: str, key: str, columns: Sequence[str], added: str = "") -> str:
    """Return the SQL that updates rows.

    Args:
        table: The table.
        key: The column that identifies a row; its value is passed last.
        columns: The columns to set, in the order in which their values are passed.
        added: The column among them whose value is added to the existing one.
    """
    values = [
        f"{name} = {f'{table}.{name} + ' if name == added else ''}given.column{number}"
        for number, name in enumerate(columns, 1)
    ]
    found_by = len(columns) + 1
    return (
        f"UPDATE {table} SET {', '.join(values)} FROM {_given(found_by)} "
        f"WHERE {table}.{key} = given.column{found_by}"
    )


def delete(table: str, columns: Sequence[str]) -> str:
    """Return the SQL that deletes rows, identified by ``columns``."""
    given = ", ".join(f"column{number}" for number in range(1, len(columns) + 1))
    return f"DELETE FROM {table} WHERE ({', '.join(columns)}) IN (SELECT {given} FROM {_given(len(columns))})"


def tag(tags: str, runs: str) -> str:
    """Return the SQL that tags existing runs, given the tag and the run's id."""
    return (
        f"INSERT INTO {tags} (tag, run_seq) SELECT given.column1, {runs}.seq "
        f"FROM {_given(2)} JOIN {runs} ON {runs}.id = given.column2"
    )


def tag_waiter() -> str:
    """Return the SQL that tags waiters, unless they have the tag, given the tag and the proposal's id."""
    return (
        "INSERT OR IGNORE INTO waiter_tag (tag, place, proposal_id) "
        "SELECT given.column1, waiter.place, waiter.proposal_id "
        f"FROM {_given(2)} JOIN waiter ON waiter.proposal_id = given.column2"
    )


def _given(columns: int) -> str:
    return f"(VALUES ({', '.join('?' * columns)})) AS given"
