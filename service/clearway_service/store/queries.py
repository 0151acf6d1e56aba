"""Queries for runs and their histories. They decide nothing, and are read beside the writer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, func, literal_column, select, text, union_all

from clearway_service.core.runs import RunKind
from clearway_service.core.states import TERMINAL, StateType
from clearway_service.store import schema
from clearway_service.store.building import one_of, run_columns, select_runs
from clearway_service.store.columns import RUN_STATE

# The columns that hold the names of each field of a filter; their indexes serve.
_NAMES = {"flow_names": "flow_name", "task_keys": "task_key", "task_names": "task_name"}
_ENDED = sorted(int(type_) for type_ in TERMINAL)


@dataclass(frozen=True, slots=True)
class RunFilter:
    """A filter of runs; empty or None fields do not filter. Times are microseconds since 1970.

    Attributes:
        flow_names: The flow has one of these names.
        task_keys: The task has one of these keys.
        task_names: The task has one of these names.
        name_contains: In the run's name, letters of either case alike.
        tags: All of these.
        state_types: One of these.
        state_names: One of these.
        created_after: Then or later.
        created_before: Earlier.
        flow_run_id: Of this flow run.
    """

    flow_names: tuple[str, ...] = ()
    task_keys: tuple[str, ...] = ()
    task_names: tuple[str, ...] = ()
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


def select_run_page(kind: RunKind, wanted: RunFilter, before: int | None, limit: int) -> Select[Any]:
    """Return the query for a page of runs, newest first.

    Each row is the run's number in creation order, then the columns of ``select_runs``.

    Args:
        kind: The kind of run.
        wanted: The filter.
        before: Only runs with a number below this one; None for the first page.
        limit: The maximum number of runs.
    """
    table = _table(kind)
    # The numbers first, mostly from an index alone: rows are read and sorted only for the page.
    numbers = _numbers(kind, wanted, before, limit)
    query: Select[Any] = select(table.c.seq, *run_columns(table)).select_from(
        table.join(schema.state, schema.state.c.id == table.c.state_id)
    )
    return query.where(table.c.seq.in_(numbers)).order_by(table.c.seq.desc())


def select_history(kind: RunKind, run_id: str, after: int | None, limit: int) -> Select[Any]:
    """Return the query for a page of a run's states, in order: each row is the ordinal, then the state.

    Args:
        kind: The kind of run.
        run_id: The run.
        after: Only states with an ordinal above this one; None for the first page.
        limit: The maximum number of states.
    """
    state = schema.state
    query = select(state.c.ordinal, *(state.c[name] for name in RUN_STATE)).where(
        state.c.run_id == run_id, state.c.kind == kind.value
    )
    if after is not None:
        query = query.where(state.c.ordinal > after)
    return query.order_by(state.c.ordinal).limit(limit)


def select_unfinished(run_ids: list[str], limit: int) -> Select[Any]:
    """Return the query for the task runs of ``run_ids`` that have not ended, in creation order.

    Each row is a run's id and name, and its state's type and name.
    """
    run = schema.task_run
    return (
        select(run.c.id, run.c.name, run.c.state_type, run.c.state_name)
        .where(one_of(run.c.id, run_ids), run.c.state_type.not_in(_ENDED))
        .order_by(run.c.seq)
        .limit(limit)
    )


def count_unfinished(run_ids: list[str]) -> Select[Any]:
    """Return the query for the number of task runs of ``run_ids`` that have not ended."""
    run = schema.task_run
    return select(func.count()).where(one_of(run.c.id, run_ids), run.c.state_type.not_in(_ENDED))


def _table(kind: RunKind) -> Table:
    return schema.flow_run if kind is RunKind.FLOW else schema.task_run


def _numbers(kind: RunKind, wanted: RunFilter, before: int | None, limit: int) -> Any:
    """Return the query for the numbers of a page's runs, using the most selective index.

    An index is in creation order only for a single value, so each value has its own query.
    """
    named = _named_by(wanted)
    names = dict.fromkeys(getattr(wanted, named)) if named else {}
    if len(names) > 1 and not (wanted.tags or wanted.flow_run_id or _none_completed(wanted)):
        each = (
            _numbers(kind, _with_name(wanted, named, name), before, limit).subquery().select()
            for name in names
        )
        pages = union_all(*each).subquery()
        return select(pages.c.seq).order_by(pages.c.seq.desc()).limit(limit)
    table = _table(kind)
    tagged = schema.flow_run_tag if kind is RunKind.FLOW else schema.task_run_tag
    query, seq = select(table.c.seq), table.c.seq
    others = wanted.tags
    if others and not wanted.flow_run_id:
        query = query.join(tagged, tagged.c.run_seq == table.c.seq).where(tagged.c.tag == others[0])
        seq, others = tagged.c.run_seq, others[1:]
    other = tagged.alias()
    for tag in others:
        has_tag = select(other.c.tag).where(other.c.tag == tag, other.c.run_seq == seq)
        query = query.where(has_tag.exists())
    if before is not None:
        query = query.where(seq < before)
    query = query.where(*_conditions(table, wanted))
    return query.order_by(seq.desc()).limit(limit)


def _named_by(wanted: RunFilter) -> str:
    """Return the field of names by whose index runs are found; empty if the filter has none.

    The key of a task is that of fewer runs than its name, which several tasks may have.
    """
    return next((field for field in _NAMES if getattr(wanted, field)), "")


def _with_name(wanted: RunFilter, field: str, name: str) -> RunFilter:
    names: dict[str, Any] = {field: (name,)}
    return replace(wanted, **names)


def _none_completed(wanted: RunFilter) -> bool:
    return bool(wanted.state_types) and StateType.COMPLETED not in wanted.state_types


def _conditions(table: Table, wanted: RunFilter) -> list[ColumnElement[bool]]:
    """Return the conditions on a run's own columns."""
    conditions: list[ColumnElement[bool]] = []
    by_index = "" if wanted.tags or _none_completed(wanted) else _named_by(wanted)
    for field, column in _NAMES.items():
        if names := getattr(wanted, field):
            # Runs with a tag, or in a rare state, are fewer than those with a name.
            of: ColumnElement[str] = table.c[column]
            conditions.append((of if field == by_index else of + literal_column("''")).in_(names))
    if wanted.name_contains:
        # The database lowercases both, with its own notion of letters.
        conditions.append(table.c.name.icontains(wanted.name_contains, autoescape=True))
    if wanted.state_types:
        conditions.append(table.c.state_type.in_(wanted.state_types))
    if _none_completed(wanted):
        # Redundant, but phrased like the partial index's condition, so that SQLite uses it.
        conditions.append(table.c.state_type != text("4"))
    if wanted.state_names:
        conditions.append(table.c.state_name.in_(wanted.state_names))
    if wanted.created_after is not None:
        conditions.append(table.c.created >= wanted.created_after)
    if wanted.created_before is not None:
        conditions.append(table.c.created < wanted.created_before)
    if wanted.flow_run_id:
        conditions.append(table.c.flow_run_id == wanted.flow_run_id)
    return conditions
