"""Slots and queues as they are read: who holds a tag's slots, and who waits for one."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Select, and_, func, literal, select
from sqlalchemy.sql.expression import FromClause

from clearway_service.store import schema

# How much of a queue is shown.
SHOWN_WAITERS = 100

_run = schema.task_run
_flow = schema.flow_run
_session = schema.session
_slot = schema.slot
_waiter = schema.waiter


class Holder(NamedTuple):
    """A task run that holds a slot. Times are microseconds since 1970; None means no session.

    ``expires`` is on the steady clock. ``awaits`` is the run whose result its code waits for; empty for none.
    """

    tag: str
    task_run_id: str
    task_run_name: str
    flow_run_id: str
    flow_run_name: str
    flow_name: str
    since: int
    client_name: str | None
    expires: int | None
    awaits: str


class Waiting(NamedTuple):
    """A proposal that waits for a slot. ``since`` is in microseconds since 1970."""

    tag: str
    task_run_id: str
    task_run_name: str
    flow_run_id: str
    flow_run_name: str
    flow_name: str
    since: int
    client_name: str | None
    place: int
    proposal_id: str


def select_holders(tags: list[str]) -> Select[Any]:
    """Return the query for who holds slots of ``tags``, as ``Holder``, the longest first."""
    joined = _with_run(_slot, _slot.c.task_run_id).outerjoin(
        _session, and_(_session.c.id == _run.c.session_id, _run.c.session_id != "")
    )
    return (
        select(
            _slot.c.tag,
            _run.c.id,
            _run.c.name,
            _run.c.flow_run_id,
            _flow.c.name,
            _flow.c.flow_name,
            _slot.c.taken,
            _session.c.client_name,
            _session.c.expires,
            _run.c.awaits,
        )
        .select_from(joined)
        .where(_slot.c.tag.in_(tags))
        .order_by(_slot.c.taken, _slot.c.task_run_id)
    )


def select_waiting(tag: str) -> Select[Any]:
    """Return the query for the head of a tag's queue, as ``Waiting``, the next one first."""
    joined = _with_run(_waiter, _waiter.c.task_run_id).outerjoin(
        _session, and_(_session.c.id == _waiter.c.session_id, _waiter.c.session_id != "")
    )
    return (
        select(
            _waiter.c.blocking_tag,
            _run.c.id,
            _run.c.name,
            _run.c.flow_run_id,
            _flow.c.name,
            _flow.c.flow_name,
            _waiter.c.since,
            _session.c.client_name,
            _waiter.c.place,
            _waiter.c.proposal_id,
        )
        .select_from(joined)
        .where(_waiter.c.blocking_tag == tag, _waiter.c.until.is_(None))
        .order_by(_waiter.c.place)
        .limit(SHOWN_WAITERS)
    )


def select_runner(task_run_id: str) -> Select[Any]:
    """Return the query for who runs a Running task run, as ``Holder`` of no tag."""
    joined = _run.join(_flow, _flow.c.id == _run.c.flow_run_id).join(
        _session, and_(_session.c.id == _run.c.session_id, _run.c.session_id != "")
    )
    state = schema.state
    return (
        select(
            literal(""),
            _run.c.id,
            _run.c.name,
            _run.c.flow_run_id,
            _flow.c.name,
            _flow.c.flow_name,
            state.c.timestamp,
            _session.c.client_name,
            _session.c.expires,
            _run.c.awaits,
        )
        .select_from(joined.join(state, state.c.id == _run.c.state_id))
        .where(_run.c.id == task_run_id)
    )


def select_place(task_run_id: str) -> Select[Any]:
    """Return the query for where a run waits: tag, since when, and how many stand before it."""
    other = _waiter.alias()
    before = (
        select(func.count())
        .select_from(other)
        .where(
            other.c.blocking_tag == _waiter.c.blocking_tag,
            other.c.place < _waiter.c.place,
            other.c.until.is_(None),
        )
        .scalar_subquery()
    )
    return (
        select(_waiter.c.blocking_tag, _waiter.c.since, before)
        .where(_waiter.c.task_run_id == task_run_id)
        .order_by(_waiter.c.place)
        .limit(1)
    )


def _with_run(table: FromClause, run_id: Any) -> Any:
    return table.join(_run, _run.c.id == run_id).join(_flow, _flow.c.id == _run.c.flow_run_id)
