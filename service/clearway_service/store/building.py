"""Building blocks for SQLAlchemy Core statements, and their rendering for the driver."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, String, Table, bindparam, column, func, insert, literal_column, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.expression import ClauseElement

from clearway_service.store import schema
from clearway_service.store.columns import FLOW_RUN, RUN_PROGRESS, RUN_STATE, TASK_RUN

DIALECT = sqlite.dialect(paramstyle="qmark")


def render(statement: ClauseElement, parameters: Sequence[str]) -> str:
    """Return the driver's SQL of ``statement``, whose parameters are passed in the order of ``parameters``.

    Raises:
        ValueError: The statement takes its parameters in another order.
    """
    compiled = statement.compile(dialect=DIALECT)
    order = tuple(getattr(compiled, "positiontup", None) or ())
    if order != tuple(parameters):
        raise ValueError(f"parameters are {order}, not {tuple(parameters)}: {compiled}")
    return str(compiled)


def insert_rows(table: Table, columns: Sequence[str]) -> str:
    """Return the SQL that inserts one row into ``table``, with the values of ``columns`` in this order."""
    return render(insert(table).values({name: bindparam(name) for name in columns}), columns)


def run_columns(table: Table) -> Iterable[Any]:
    """Return the columns of a run with its current state, as ``rows`` reads them."""
    own = FLOW_RUN if table is schema.flow_run else TASK_RUN
    yield from (table.c[name] for name in (*own, *RUN_PROGRESS))
    yield from (schema.state.c[name] for name in RUN_STATE)


def select_runs(table: Table) -> Any:
    """Return the query for runs with their current states."""
    joined = table.join(schema.state, schema.state.c.id == table.c.state_id)
    return select(*run_columns(table)).select_from(joined)


def members(of: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Return ``of IN name``, where parameter ``name`` is a JSON array of any length."""
    return of.in_(select(json_parameter(name).c.value))


def json_parameter(name: str) -> Any:
    """Return parameter ``name``, a JSON array, as a table with the column ``value``."""
    return func.json_each(bindparam(name)).table_valued("value")


def json_values(values: Iterable[str]) -> Any:
    """Return any number of ``values`` as a table with the column ``value``."""
    return func.json_each(json.dumps(list(values))).table_valued("value")


def one_of(of: ColumnElement[Any], values: Iterable[str]) -> ColumnElement[bool]:
    """Return ``of IN values``, for any number of values."""
    return of.in_(select(json_values(values).c.value))


def json_rows(name: str, width: int) -> tuple[Any, list[ColumnElement[str]]]:
    """Return parameter ``name``, a JSON array of arrays, as a table, and its ``width`` columns."""
    values = func.json_each(bindparam(name)).table_valued(column("value", String), name=name)
    return values, [
        func.json_extract(values.c.value, literal_column(f"'$[{index}]'")) for index in range(width)
    ]
