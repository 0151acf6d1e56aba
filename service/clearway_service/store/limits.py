"""Concurrency limits: setting, reading and removing them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import Select, delete, func, insert, literal, select, text, update
from sqlalchemy.dialects.sqlite import insert as upsert_into

from clearway_service.core.resources import Resource
from clearway_service.errors import LimitNotFoundError
from clearway_service.store import schema
from clearway_service.store.slots import RELEASED_HOLDERS, Holder, select_holders
from clearway_service.store.transaction import Transaction
from clearway_service.texts import plain

_limit = schema.concurrency_limit
_slot = schema.slot
_run = schema.task_run
_tag = schema.task_run_tag


class LimitRow(NamedTuple):
    """A tag's limit, as in a row. Times are microseconds since 1970.

    Attributes:
        id: The limit's UUID.
        tag: The tag.
        slots: How many runs may be Running at once.
        created: When the limit was first set.
        updated: When it was last changed.
        waiting: The number of proposals in its queue.
        taken: The number of runs that hold a slot.
    """

    id: str
    tag: str
    slots: int
    created: int
    updated: int
    waiting: int
    taken: int


def select_limits() -> Select[Any]:
    """Return the query for limits, in the order of ``LimitRow``."""
    waiting = (
        select(func.count())
        .select_from(schema.waiter)
        .where(schema.waiter.c.blocking_tag == _limit.c.tag, schema.waiter.c.until.is_(None))
        .scalar_subquery()
    )
    taken = select(func.count()).select_from(_slot).where(_slot.c.tag == _limit.c.tag).scalar_subquery()
    own = (_limit.c.id, _limit.c.tag, _limit.c.slots, _limit.c.created, _limit.c.updated)
    return select(*own, waiting, taken)


def select_limits_of(tags: list[str]) -> Select[Any]:
    """Return the query for the limits of ``tags``, in the order of ``LimitRow``."""
    return select_limits().where(_limit.c.tag.in_(tags))


class SetLimit(NamedTuple):
    """A limit that was set, and how many slots it had before; None if there was no limit."""

    limit: LimitRow
    previous: int | None


class ResetLimit(NamedTuple):
    """The first of the runs whose slots were taken away, and how many there were."""

    released: list[Holder]
    total: int


def set_limit(tag: str, slots: int) -> Callable[[Transaction], SetLimit]:
    """Return the command that sets the limit of ``tag``.

    A new limit counts the runs that are already Running, so it holds from the start; those above it are left
    to end. Waiters are decided again. From now on, waiters in other queues that also need a slot of this tag
    are passed over at most as often as the rules allow.
    """

    def command(transaction: Transaction) -> SetLimit:
        connection, now = transaction.connection, transaction.now
        previous = connection.scalar(select(_limit.c.slots).where(_limit.c.tag == tag))
        if previous is None:
            row = {"id": transaction.new_id(), "tag": tag, "slots": slots, "created": now, "updated": now}
            connection.execute(insert(_limit).values(row))
            _count_running(transaction, tag)
            _track_elders(transaction, tag)
        elif previous != slots:
            connection.execute(update(_limit).where(_limit.c.tag == tag).values(slots=slots, updated=now))
        transaction.woken.add(Resource.of_tag(tag))
        found = LimitRow(*tuple(connection.execute(select_limits().where(_limit.c.tag == tag)).one()))
        return SetLimit(found, previous)

    return command


def _count_running(transaction: Transaction, tag: str) -> None:
    # The type is a literal, so that SQLite uses the index of Running runs; more runs have ever had the tag.
    has_tag = select(_tag.c.tag).where(_tag.c.tag == tag, _tag.c.run_seq == _run.c.seq).exists()
    running = select(literal(tag), _run.c.id, literal(transaction.now)).where(
        _run.c.state_type == text("3"), _run.c.tracks_subflow.is_(False), has_tag
    )
    transaction.connection.execute(insert(_slot).from_select(["tag", "task_run_id", "taken"], running))


def _track_elders(transaction: Transaction, tag: str) -> None:
    """Count waiters in other queues that also need ``tag`` among the elders of their tags."""
    waiter, elder = schema.waiter, schema.waiter_tag
    others = select(_limit.c.tag).where(_limit.c.tag != tag)
    # Tags as stored with the run: the table of tags would have to be searched for every run that ever had
    # this one.
    wanted = func.json_each(_run.c.tags).table_valued("value", name="wanted")
    own = func.json_each(_run.c.tags).table_valued("value", name="own")
    needs = select(own.c.value).where(own.c.value == tag)
    waiting = (
        select(_limit.c.tag, waiter.c.place, waiter.c.proposal_id)
        .select_from(
            waiter.join(_run, _run.c.id == waiter.c.task_run_id)
            .join(wanted, literal(value=True))
            .join(_limit, _limit.c.tag == wanted.c.value)
        )
        .where(waiter.c.blocking_tag.in_(others), waiter.c.until.is_(None), needs.exists())
    )
    statement = upsert_into(elder).from_select(["tag", "place", "proposal_id"], waiting)
    transaction.connection.execute(statement.on_conflict_do_nothing())


def delete_limit(tag: str) -> Callable[[Transaction], None]:
    """Return the command that removes the limit of ``tag``; its waiters may start."""

    def command(transaction: Transaction) -> None:
        connection = transaction.connection
        if connection.execute(delete(_limit).where(_limit.c.tag == tag)).rowcount == 0:
            raise no_limit(tag)
        connection.execute(delete(_slot).where(_slot.c.tag == tag))
        transaction.woken.add(Resource.of_tag(tag))

    return command


def reset_limit(
    tag: str, weigh: Callable[[Holder], int] = lambda _holder: 0, budget: int = 0
) -> Callable[[Transaction], ResetLimit]:
    """Return the command that takes back all slots of ``tag`` and returns their holders.

    Their runs continue and are no longer counted; the waiters may start.

    Args:
        tag: The tag.
        weigh: Returns the weight of a holder.
        budget: The maximum total weight of the returned holders; the others are only counted.
    """

    def command(transaction: Transaction) -> ResetLimit:
        connection = transaction.connection
        if connection.scalar(select(_limit.c.slots).where(_limit.c.tag == tag)) is None:
            raise no_limit(tag)
        released: list[Holder] = []
        left = budget
        with connection.execute(select_holders(tag, RELEASED_HOLDERS)) as rows:
            for row in rows:
                holder = Holder(*tuple(row))
                left -= weigh(holder)
                if left < 0:
                    break
                released.append(holder)
        total = connection.execute(delete(_slot).where(_slot.c.tag == tag)).rowcount
        transaction.woken.add(Resource.of_tag(tag))
        return ResetLimit(released, total)

    return command


def no_limit(tag: str) -> LimitNotFoundError:
    """Return the error that ``tag`` has no limit."""
    return LimitNotFoundError(f"no concurrency limit is set on the tag '{plain(tag)}'", "tag", tag=tag)
