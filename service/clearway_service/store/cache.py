"""Queries and commands on the cache: pages of entries, totals by task, invalidation, expiry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, case, delete, func, or_, select
from sqlalchemy.sql.expression import FromClause

from clearway_service.store import schema
from clearway_service.store.building import run_columns
from clearway_service.store.resources import MARK
from clearway_service.store.transaction import Transaction

_entry = schema.cache_entry
_run = schema.task_run
_slot = schema.slot
_waiter = schema.waiter

# No key contains a character after this one.
_LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class CacheFilter:
    """A filter of cache entries; empty or None fields do not filter. Times are microseconds since 1970.

    Attributes:
        key: The exact key.
        key_prefix: A prefix of the key.
        task: The task, by key or by name.
        tags: Tags that the run that wrote the entry must all have.
        created_after: The earliest creation time, inclusive.
        created_before: The latest creation time, exclusive.
        expired: True for expired entries, False for live ones.
    """

    key: str = ""
    key_prefix: str = ""
    task: str = ""
    tags: tuple[str, ...] = ()
    created_after: int | None = None
    created_before: int | None = None
    expired: bool | None = None


class EntryRow(NamedTuple):
    """An entry, as in a row; the columns of its run and state follow. Times as in ``CacheFilter``."""

    key: str
    created: int
    expires: int | None
    size: int
    hits: int
    last_hit: int | None


class StatsRow(NamedTuple):
    """Sums over cache entries. Times as in ``CacheFilter``; None if there are no entries."""

    entries: int
    expired: int
    hits: int
    size: int
    oldest: int | None
    newest: int | None


def select_entry(key: str, now: int) -> Select[Any]:
    """Return the query for a live entry: the columns of ``EntryRow``, then those of its run and state."""
    return _select_entries().where(_entry.c.key == key, ~_has_expired(now))


def select_page(wanted: CacheFilter, now: int, before: tuple[int, str] | None, limit: int) -> Select[Any]:
    """Return the query for a page of entries, newest first, with the columns of ``select_entry``.

    Args:
        wanted: The filter.
        now: The service's clock.
        before: The time and key of the previous page's last entry; None for the first page.
        limit: The maximum number of entries.
    """
    query = _select_entries().where(*_conditions(wanted, now))
    if before is not None:
        created, key = before
        query = query.where(
            or_(_entry.c.created < created, and_(_entry.c.created == created, _entry.c.key < key))
        )
    return query.order_by(_entry.c.created.desc(), _entry.c.key.desc()).limit(limit)


def select_count(wanted: CacheFilter, now: int) -> Select[Any]:
    """Return the query for the number of entries that match the filter."""
    return select(func.count()).select_from(_joined()).where(*_conditions(wanted, now))


def select_task_stats(now: int, after: tuple[int, str] | None, limit: int) -> Select[Any]:
    """Return the query for a page of tasks, those with the most entries first.

    Each row is a task's key and name, then the columns of ``StatsRow``.

    Args:
        now: The service's clock.
        after: How many entries the last task of the previous page has, and its key; None for the first page.
        limit: How many at most.
    """
    count = func.count()
    query = (
        select(_run.c.task_key, func.max(_run.c.task_name), *_sums(now))
        .select_from(_joined())
        .group_by(_run.c.task_key)
        .order_by(count.desc(), _run.c.task_key)
        .limit(limit)
    )
    if after is None:
        return query
    entries, key = after
    return query.having(or_(count < entries, and_(count == entries, _run.c.task_key > key)))


def select_task_count() -> Select[Any]:
    """Return the query for the number of tasks with entries."""
    return select(func.count(_run.c.task_key.distinct())).select_from(_joined())


def select_total(now: int) -> Select[Any]:
    """Return the query for what the cache holds of all tasks, as ``StatsRow``."""
    return select(*_sums(now))


def select_in_flight() -> Select[Any]:
    """Return the query for the number of keys being computed, and of runs that wait for one of them."""
    # Tags that stand for keys sort before all others, which have no control characters.
    computing = select(func.count(_slot.c.tag.distinct())).where(*_of_keys(_slot.c.tag))
    here = _waiter.c.until.is_(None)
    waiting = select(func.count()).select_from(_waiter).where(*_of_keys(_waiter.c.blocking_tag), here)
    return select(computing.scalar_subquery(), waiting.scalar_subquery())


def invalidate(wanted: CacheFilter, limit: int) -> Callable[[Transaction], int]:
    """Return the command that removes up to ``limit`` matching entries and returns how many it removed."""

    def command(transaction: Transaction) -> int:
        found = select(_entry.c.key).select_from(_joined()).where(*_conditions(wanted, transaction.now))
        return _delete(transaction, found.limit(limit))

    return command


def _delete(transaction: Transaction, keys: Select[Any]) -> int:
    result = transaction.connection.execute(delete(_entry).where(_entry.c.key.in_(keys)))
    return result.rowcount


def _select_entries() -> Select[Any]:
    own = (_entry.c[name] for name in EntryRow._fields)
    state = schema.state
    joined = _joined().join(state, state.c.id == _entry.c.state_id)
    return select(*own, *run_columns(_run)).select_from(joined)


def _joined() -> FromClause:
    return _entry.join(_run, _run.c.id == _entry.c.task_run_id)


def _sums(now: int) -> tuple[ColumnElement[Any], ...]:
    """Return the columns of ``StatsRow``."""
    return (
        func.count(),
        func.coalesce(func.sum(case((_has_expired(now), 1), else_=0)), 0),
        func.coalesce(func.sum(_entry.c.hits), 0),
        func.coalesce(func.sum(_entry.c.size), 0),
        func.min(_entry.c.created),
        func.max(_entry.c.created),
    )


def _has_expired(now: int) -> ColumnElement[bool]:
    return and_(_entry.c.expires.is_not(None), _entry.c.expires <= now)


def _of_keys(tag: ColumnElement[str]) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return tag >= MARK, tag < MARK + _LAST


def _conditions(wanted: CacheFilter, now: int) -> list[ColumnElement[bool]]:
    tagged = schema.task_run_tag
    conditions: list[ColumnElement[bool]] = [
        select(tagged.c.tag).where(tagged.c.tag == tag, tagged.c.run_seq == _run.c.seq).exists()
        for tag in wanted.tags
    ]
    if wanted.key:
        conditions.append(_entry.c.key == wanted.key)
    if wanted.key_prefix:
        # Not LIKE, which ignores case.
        conditions += [_entry.c.key >= wanted.key_prefix, _entry.c.key < wanted.key_prefix + _LAST]
    if wanted.task:
        conditions.append(or_(_run.c.task_key == wanted.task, _run.c.task_name == wanted.task))
    if wanted.created_after is not None:
        conditions.append(_entry.c.created >= wanted.created_after)
    if wanted.created_before is not None:
        conditions.append(_entry.c.created < wanted.created_before)
    if wanted.expired is not None:
        conditions.append(_has_expired(now) if wanted.expired else ~_has_expired(now))
    return conditions
