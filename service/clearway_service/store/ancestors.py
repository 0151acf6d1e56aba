"""Ancestors: runs that hold a slot while their code waits for a run that needs one.

If such runs hold all slots of a tag, none of them can finish: a deadlock. It is detected from both sides:
when the awaited run asks for a slot, and when the other run's client reports that its code waits.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, func, literal_column, select

from clearway_service.store import schema
from clearway_service.store.building import json_values
from clearway_service.store.resources import MARK

# The longest chain of waiting runs between an ancestor and the run that it blocks.
_LONGEST_CHAIN: ColumnElement[int] = literal_column("16")

_run = schema.task_run
_waiter = schema.waiter
_slot = schema.slot
_limit = schema.concurrency_limit
# The type and the empty string are literals, so that SQLite uses the partial indexes.
_runs = _run.c.state_type == literal_column("3")
_NEAR: ColumnElement[int] = literal_column("0")
_STEP: ColumnElement[int] = literal_column("1")
_awaits = _run.c.awaits != literal_column("''")


def select_ancestors(run_ids: FromClause) -> Select[Any]:
    """Return the query for the runs that hold slots while their code waits for ``run_ids``, nearest first.

    Args:
        run_ids: A table of ids with the column ``value``.

    Each row is the awaited run's id, then the columns of ``Ancestor``.
    """
    chain = _ancestry(run_ids)
    holder = _run.alias("holder")
    return (
        select(chain.c.of, holder.c.id, holder.c.name, _slot.c.tag)
        .select_from(
            chain.join(holder, holder.c.id == chain.c.id).join(_slot, _slot.c.task_run_id == holder.c.id)
        )
        .where(chain.c.id != chain.c.of)
        .group_by(chain.c.of, holder.c.id, _slot.c.tag)
        .order_by(func.min(chain.c.distance), holder.c.id)
    )


def select_ancestors_of(run_id: str) -> Select[Any]:
    """Return the query of ``select_ancestors`` for one run."""
    return select_ancestors(json_values([run_id]))


def select_entangled(awaited: FromClause) -> Select[Any]:
    """Return the query for the runs that wait for a slot of a full tag that an ancestor of theirs holds.

    Args:
        awaited: Ids of awaited runs, a table with the column ``value``; the query covers these and all runs
            for which their code waits.

    Each row is the waiting run's id and name, then the columns of ``Ancestor``.
    """
    descent = _descent(awaited)
    waits = (
        select(_waiter.c.task_run_id.label("value"))
        .select_from(descent.join(_waiter, _waiter.c.task_run_id == descent.c.id))
        .where(_waiter.c.until.is_(None))
        .distinct()
        .cte("waits")
    )
    found = select_ancestors(waits).subquery()
    waiting, tagged = _run.alias("waiting"), schema.task_run_tag
    taken = select(func.count()).select_from(_slot).where(_slot.c.tag == found.c.tag).scalar_subquery()
    return (
        select(waiting.c.id, waiting.c.name, found.c.id, found.c.name, found.c.tag)
        .select_from(
            found.join(waiting, waiting.c.id == found.c.of)
            .join(tagged, (tagged.c.run_seq == waiting.c.seq) & (tagged.c.tag == found.c.tag))
            .join(_limit, _limit.c.tag == found.c.tag)
        )
        .where(taken >= _limit.c.slots)
    )


def select_followers(awaited: FromClause) -> Select[Any]:
    """Return the query for the runs that wait for another one to compute their cache key.

    Args:
        awaited: Ids of awaited runs, a table with the column ``value``; the query covers these and all runs
            for which their code waits.
    """
    descent = _descent(awaited)
    return (
        select(_waiter.c.task_run_id)
        .select_from(descent.join(_waiter, _waiter.c.task_run_id == descent.c.id))
        .where(_waiter.c.until.is_(None), _is_key(_waiter.c.blocking_tag))
    )


def _is_key(tag: ColumnElement[str]) -> ColumnElement[bool]:
    """Return whether a tag stands for a cache key."""
    return func.substr(tag, _STEP, _STEP) == literal_column(f"'{MARK}'")


def _ancestry(run_ids: FromClause) -> Any:
    """Return each run's ancestry, as ``of``, ``id``, ``distance``: the runs whose code waits for it.

    Waiting may be direct or through other runs. A run that waits for another one to compute its cache key
    waits for that one as well.
    """
    own = select(
        run_ids.c.value.label("of"), run_ids.c.value.label("id"), _NEAR.label("distance")
    ).select_from(run_ids)
    chain = own.cte("chain", recursive=True)
    further = (
        select(chain.c.of, _run.c.id, chain.c.distance + _STEP)
        .select_from(chain.join(_run, _run.c.awaits == chain.c.id))
        .where(_runs, _awaits, chain.c.distance < _LONGEST_CHAIN)
    )
    computed, follower = _slot.alias("computed"), _waiter.alias("follower")
    following = (
        select(chain.c.of, follower.c.task_run_id, chain.c.distance + _STEP)
        .select_from(
            chain.join(computed, computed.c.task_run_id == chain.c.id).join(
                follower, follower.c.blocking_tag == computed.c.tag
            )
        )
        .where(_is_key(computed.c.tag), follower.c.until.is_(None), chain.c.distance < _LONGEST_CHAIN)
    )
    return chain.union(further, following)


def _descent(run_ids: FromClause) -> Any:
    """Return, as rows of ``id``, the given runs and the runs for which their code waits.

    Waiting may be direct or through other runs.
    """
    own = select(run_ids.c.value.label("id"), _NEAR.label("distance")).select_from(run_ids)
    chain = own.cte("descent", recursive=True)
    further = (
        select(_run.c.awaits, chain.c.distance + _STEP)
        .select_from(chain.join(_run, _run.c.id == chain.c.id))
        .where(_runs, _awaits, chain.c.distance < _LONGEST_CHAIN)
    )
    return chain.union(further)
