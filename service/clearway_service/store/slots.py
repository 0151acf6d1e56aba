"""Queries for slots and queues: the holders of a tag's slots, and the waiters for one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import Select, and_, func, literal, or_, select
from sqlalchemy.sql.expression import FromClause

from clearway_service.store import schema
from clearway_service.store.building import one_of

# How much of a queue is shown with its limit, and of the runs that hold its slots: with one limit, in a list
# of limits, and when they are taken away.
SHOWN_WAITERS = 100
SHOWN_HOLDERS = 1_000
LISTED_HOLDERS = 100
RELEASED_HOLDERS = 10_000

_run = schema.task_run
_flow = schema.flow_run
_session = schema.session
_slot = schema.slot
_waiter = schema.waiter


class Holder(NamedTuple):
    """A task run that holds a slot. Times are microseconds since 1970; None means no session.

    ``expires`` is on the steady clock. ``awaits`` is the run whose result its code waits for, or an empty
    string.
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


def select_holders(
    tag: str, limit: int, after: tuple[int, str] | None = None, among: Collection[str] | None = None
) -> Select[Any]:
    """Return the query for the holders of slots of ``tag``, as ``Holder``, the longest-holding first.

    Args:
        tag: The tag.
        limit: The maximum number of holders.
        after: The time and id of the previous page's last holder; None for the first page.
        among: Only these runs; None for all.
    """
    # The slots first, so that runs are joined and sorted for the page only.
    slots = select(_slot.c.tag, _slot.c.task_run_id, _slot.c.taken).where(_slot.c.tag == tag)
    if after is not None:
        since, run_id = after
        slots = slots.where(
            or_(_slot.c.taken > since, and_(_slot.c.taken == since, _slot.c.task_run_id > run_id))
        )
    if among is not None:
        slots = slots.where(one_of(_slot.c.task_run_id, among))
    found = slots.order_by(_slot.c.taken, _slot.c.task_run_id).limit(limit).subquery("found")
    return _holders(found).order_by(found.c.taken, found.c.task_run_id)


def select_first_holders(tags: list[str]) -> Select[Any]:
    """Return the query for the first ``LISTED_HOLDERS`` of each of ``tags``, as ``Holder``.

    They are sorted by tag; those of a tag come in the order in which they took their slots.
    """
    place = func.row_number().over(partition_by=_slot.c.tag, order_by=(_slot.c.taken, _slot.c.task_run_id))
    ranked = select(_slot.c.tag, _slot.c.task_run_id, _slot.c.taken, place.label("place")).where(
        one_of(_slot.c.tag, tags)
    )
    found = ranked.subquery("found")
    return (
        _holders(found)
        .where(found.c.place <= LISTED_HOLDERS)
        .order_by(found.c.tag, found.c.taken, found.c.task_run_id)
    )


def _holders(found: FromClause) -> Select[Any]:
    """Return the query for the runs of slots, as ``Holder``; ``found`` has tags, task run ids and times."""
    joined = _with_run(found, found.c.task_run_id).outerjoin(
        _session, and_(_session.c.id == _run.c.session_id, _run.c.session_id != "")
    )
    return select(
        found.c.tag,
        _run.c.id,
        _run.c.name,
        _run.c.flow_run_id,
        _flow.c.name,
        _flow.c.flow_name,
        found.c.taken,
        _session.c.client_name,
        _session.c.expires,
        _run.c.awaits,
    ).select_from(joined)


def select_tags_held(task_run_id: str) -> Select[Any]:
    """Return the query for the tags of the slots that a run holds."""
    return select(_slot.c.tag).where(_slot.c.task_run_id == task_run_id)


def select_waiting(tag: str, limit: int, after: int | None = None) -> Select[Any]:
    """Return the query for a tag's queue, as ``Waiting``, the next one first.

    Args:
        tag: The tag.
        limit: The maximum number of waiters.
        after: Only waiters whose place is above this; None for the head of the queue.
    """
    joined = _with_run(_waiter, _waiter.c.task_run_id).outerjoin(
        _session, and_(_session.c.id == _waiter.c.session_id, _waiter.c.session_id != "")
    )
    query = (
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
    )
    if after is not None:
        query = query.where(_waiter.c.place > after)
    return query.order_by(_waiter.c.place).limit(limit)


def count_waiting(tag: str, up_to: int) -> Select[Any]:
    """Return the query for the number of waiters in a tag's queue up to and including the place ``up_to``."""
    return select(func.count()).where(
        _waiter.c.blocking_tag == tag, _waiter.c.until.is_(None), _waiter.c.place <= up_to
    )


def select_runner(task_run_id: str) -> Select[Any]:
    """Return the query for the session that executes a Running task run, as ``Holder`` without a tag."""
    joined = _run.join(_flow, _flow.c.id == _run.c.flow_run_id).outerjoin(
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
    """Return the query for a run's place in a queue: tag, time of joining, number of waiters before it."""
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
