"""Queries that decide nothing: runs and their histories. They are read beside the writer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, select

from clearway_service.core.runs import RunKind
from clearway_service.store import schema
from clearway_service.store.sqlite import one_of
from clearway_service.store.statements import RUN_STATE, run_columns, select_runs


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs to list; what is empty or None does not restrict. Times are microseconds since 1970.

    Attributes:
        names: Of the flow, or the task keys.
        name_contains: In the run's name, letters of either case alike.
        tags: All of these.
        state_types: One of these.
        state_names: One of these.
        created_after: Then or later.
        created_before: Earlier.
        flow_run_id: Of this flow run.
    """

    names: tuple[str, ...] = ()
    name_contains: str = ""
    tags: tuple[str, ...] = ()
    state_types: tuple[int, ...] = ()
    state_names: tuple[str, ...] = ()
    created_after: int | None = None
    created_before: int | None = None
    flow_run_id: str = ""


def select_run(kind: RunKind, run_id: str) -> Select[Any]:
    """Return the query for one run with its state."""
    table = _table(kind)
    query: Select[Any] = select_runs(table).where(table.c.id == run_id)
    return query


def select_runs_by_id(kind: RunKind, run_ids: list[str]) -> Select[Any]:
    """Return the query for runs with their states, in the order of creation."""
    table = _table(kind)
    query: Select[Any] = select_runs(table).where(one_of(table.c.id, run_ids)).order_by(table.c.seq)
    return query


def select_run_page(kind: RunKind, wanted: RunFilter, before: int | None, limit: int) -> Select[Any]:
    """Return the query for a page of runs, the newest first.

    Each row is the run's number in the order of creation, then what ``select_runs`` has.

    Args:
        kind: Whose runs.
        wanted: Which runs.
        before: Only runs with a smaller number than this; None for the first page.
        limit: How many at most.
    """
    table = _table(kind)
    joined = table.join(schema.state, schema.state.c.id == table.c.state_id)
    query = select(table.c.seq, *run_columns(table)).select_from(joined)
    query = query.where(*_conditions(kind, table, wanted))
    if before is not None:
        query = query.where(table.c.seq < before)
    return query.order_by(table.c.seq.desc()).limit(limit)


def select_history(kind: RunKind, run_id: str) -> Select[Any]:
    """Return the query for a run's states, in order."""
    state = schema.state
    return (
        select(*(state.c[name] for name in RUN_STATE))
        .where(state.c.run_id == run_id, state.c.kind == kind.value)
        .order_by(state.c.ordinal)
    )


def _table(kind: RunKind) -> Table:
    return schema.flow_run if kind is RunKind.FLOW else schema.task_run


def _conditions(kind: RunKind, table: Table, wanted: RunFilter) -> list[ColumnElement[bool]]:
    names = table.c.flow_name if kind is RunKind.FLOW else table.c.task_key
    tagged = schema.flow_run_tag if kind is RunKind.FLOW else schema.task_run_tag
    conditions: list[ColumnElement[bool]] = []
    if wanted.names:
        conditions.append(names.in_(wanted.names))
    if wanted.name_contains:
        # The database lowers both: what it takes for letters is its own.
        conditions.append(table.c.name.icontains(wanted.name_contains, autoescape=True))
    conditions += [
        select(tagged.c.run_id).where(tagged.c.tag == tag, tagged.c.run_id == table.c.id).exists()
        for tag in wanted.tags
    ]
    if wanted.state_types:
        conditions.append(table.c.state_type.in_(wanted.state_types))
    if wanted.state_names:
        conditions.append(table.c.state_name.in_(wanted.state_names))
    if wanted.created_after is not None:
        conditions.append(table.c.created >= wanted.created_after)
    if wanted.created_before is not None:
        conditions.append(table.c.created < wanted.created_before)
    if wanted.flow_run_id:
        conditions.append(table.c.flow_run_id == wanted.flow_run_id)
    return conditions
