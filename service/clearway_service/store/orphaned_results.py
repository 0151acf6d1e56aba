"""Orphaned results: stored results that only ended cache entries refer to.

Whether a result is in use depends on its SHA-256, never on the location that a client sent: several locations
may be spellings of one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    func,
    literal_column,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects.sqlite import insert

from clearway_service.core.locations import is_digest
from clearway_service.store import schema
from clearway_service.store.building import one_of
from clearway_service.store.columns import STORED_RESULT
from clearway_service.store.database import Database
from clearway_service.store.result_references import Keep, Reference
from clearway_service.store.transaction import Transaction

# The number of rows in memory at once: with the longest locations and keys they are 3 MB.
_ROWS = 256
# The number of rows that one query looks at, so that it ends within some 50 ms if few are orphaned.
_WALKED = 10_000

_stored = schema.stored_result
_same = schema.stored_result.alias("same")
# The number is a literal, so that SQLite uses the index.
_may_be_orphan = _stored.c.keep < literal_column(str(int(Keep.STATE)))
_columns = tuple(_stored.c[name] for name in STORED_RESULT)

Position = tuple[int, str]
"""The time and the state of a result, after which others follow in a list."""


class OrphanedResult(NamedTuple):
    """A stored result that no run can be served any more.

    Attributes:
        reference: The row.
        digest: Its SHA-256; empty if unknown.
    """

    reference: Reference
    digest: str

    @property
    def position(self) -> Position:
        """Its position in a list."""
        return self.reference.created, self.reference.state_id


class Droppable(NamedTuple):
    """The results that may be dropped.

    Attributes:
        results: The results.
        unreferenced: The SHA-256 values that no other row has. Their files are deleted before the rows.
    """

    results: list[OrphanedResult]
    unreferenced: set[str]


async def find_orphaned(
    database: Database, now: int, before: int, after: Position | None
) -> AsyncGenerator[OrphanedResult]:
    """Yield orphaned results, the oldest first. At most a few hundred rows are in memory at once.

    Args:
        database: The database.
        now: The service's clock, by which entries expire.
        before: Only results last referred to before this time, in microseconds since 1970.
        after: The position after which to start; None for the oldest.
    """
    while True:
        positions = await database.read(select_position(before, after, _WALKED))
        until = positions[0] if positions else None
        rows = None
        while rows is None or len(rows) == _ROWS:
            rows = await database.read(select_page(now, before, after, until))
            for row in rows:
                result = _result(row)
                after = result.position
                yield result
        if until is None:
            return
        after = until[0], until[1]


def droppable(state_ids: Collection[str], before: int) -> Callable[[Transaction], Droppable]:
    """Return the command that finds which results may be dropped; it changes nothing.

    It leaves out results that are in use by now, and those whose location does not match their SHA-256.

    Args:
        state_ids: As they were listed.
        before: As for ``find_orphaned``.
    """

    def command(transaction: Transaction) -> Droppable:
        results = _still_orphaned(transaction, state_ids, before)
        found = Counter(result.digest for result in results)
        rows = select(_stored.c.name, func.count()).where(one_of(_stored.c.name, list(found)))
        counts = transaction.connection.execute(rows.group_by(_stored.c.name))
        return Droppable(results, {name for name, count in counts if count == found[name]})

    return command


def drop_orphaned(
    state_ids: Collection[str], before: int, deleted: Collection[str]
) -> Callable[[Transaction], list[OrphanedResult]]:
    """Return the command that drops results, and returns those it dropped.

    A file is deleted before its last row, so that after an interruption a row remains by which the result is
    listed and dropped again. So the last row of a file stays unless the file was deleted, for example if two
    calls drop the two rows of one result at once.

    Args:
        state_ids: As for ``droppable``.
        before: As for ``droppable``.
        deleted: The SHA-256 values whose files were deleted.
    """

    def command(transaction: Transaction) -> list[OrphanedResult]:
        connection = transaction.connection
        dropped = _still_orphaned(transaction, state_ids, before)
        if not dropped:
            return []
        # All are found before the first is deleted: a row that is kept keeps the others of its name.
        gone = delete(_stored).where(
            _stored.c.name == bindparam("of_name"), _stored.c.location == bindparam("of_location")
        )
        keys = [result.reference[:2] for result in dropped]
        connection.execute(gone, [{"of_name": name, "of_location": place} for name, place in keys])
        names = {result.digest for result in dropped}.difference(deleted)
        if not names:
            return dropped
        left = select(_stored.c.name).distinct().where(one_of(_stored.c.name, names))
        names.difference_update(connection.scalars(left))
        last = [result for result in dropped if result.digest in names]
        if last:
            restore(last)(transaction)
        return [result for result in dropped if result.digest not in names]

    return command


def restore(results: Sequence[OrphanedResult]) -> Callable[[Transaction], None]:
    """Return the command that lists dropped results again, for a client that did not learn of it."""

    def command(transaction: Transaction) -> None:
        statement = insert(_stored).on_conflict_do_nothing()
        transaction.connection.execute(statement, [result.reference._asdict() for result in results])

    return command


def select_position(before: int, after: Position | None, count: int) -> Select[Any]:
    """Return the query for the position ``count`` rows further; it has no row if there are fewer."""
    place = (_stored.c.created, _stored.c.state_id)
    return select(*place).where(*_between(before, after)).order_by(*place).limit(1).offset(count - 1)


def select_page(now: int, before: int, after: Position | None, until: Sequence[Any] | None) -> Select[Any]:
    """Return the query for the next orphaned results, in order, up to the position ``until``."""
    place = (_stored.c.created, _stored.c.state_id)
    query = select(*_columns).where(*_between(before, after), _is_orphaned(now, before))
    if until is not None:
        query = query.where(tuple_(*place) <= tuple(until))
    return query.order_by(*place).limit(_ROWS)


def _still_orphaned(
    transaction: Transaction, state_ids: Collection[str], before: int
) -> list[OrphanedResult]:
    query = select(*_columns).where(
        one_of(_stored.c.state_id, state_ids),
        _stored.c.keep == int(Keep.NOTHING),
        _is_orphaned(transaction.now, before),
    )
    return [_result(row) for row in transaction.connection.execute(query)]


def _between(before: int, after: Position | None) -> list[ColumnElement[bool]]:
    conditions = [_stored.c.created < before, _may_be_orphan]
    if after is not None:
        conditions.append(tuple_(_stored.c.created, _stored.c.state_id) > after)
    return conditions


def _is_orphaned(now: int, before: int) -> ColumnElement[bool]:
    """Return "only ended cache entries refer to the result"; each part is one index look-up."""
    entry = schema.cache_entry
    of_name = _same.c.name == _stored.c.name
    return and_(
        _may_be_orphan,
        ~exists().where(of_name, _same.c.keep > _stored.c.keep),
        ~exists().where(of_name, _same.c.referred >= before),
        # The first condition makes SQLite use the partial index.
        ~exists().where(
            entry.c.result != "",
            entry.c.result == _stored.c.name,
            or_(entry.c.expires.is_(None), entry.c.expires > now),
        ),
    )


def _result(row: Sequence[Any]) -> OrphanedResult:
    reference = Reference(*row)
    return OrphanedResult(reference, reference.name if is_digest(reference.name) else "")
