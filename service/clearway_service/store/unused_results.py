"""Results that only ended cache entries spoke of.

They are found by reading all states once, some at a time and beside the writer, so nothing has to be kept in
step for the sake of a search that is seldom made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert

from clearway.v1 import state_pb2
from clearway_service.store import schema
from clearway_service.store.building import one_of
from clearway_service.store.database import Database
from clearway_service.store.transaction import Transaction

_ROWS = 5_000


class UnusedResult(NamedTuple):
    """A result that nobody can be served any more.

    Attributes:
        state_id: The state that has it.
        location: Where it is.
        size: Its bytes.
        cache_key: The key of the entry that it was served by.
        created: When the state was entered, in microseconds since 1970.
    """

    state_id: str
    location: str
    size: int
    cache_key: str
    created: int


async def find_unused(database: Database, now: int, before: int) -> list[UnusedResult]:
    """Return the results of cached runs that no live entry, and no other state, speaks of; the oldest first.

    Args:
        database: Where to look.
        now: The service's clock, by which entries have expired.
        before: Only of states before this time; what later states speak of is in use.
    """
    entry = schema.cache_entry
    live_query = select(entry.c.state_id).where(entry.c.expires.is_(None) | (entry.c.expires > now))
    live = {row[0] for row in await database.read(live_query)}
    dropped = {row[0] for row in await database.read(select(schema.dropped_result.c.state_id))}
    found: list[UnusedResult] = []
    used: set[str] = set()
    last = ""
    state = schema.state
    columns = select(state.c.id, state.c.data, state.c.cache_key, state.c.timestamp)
    while True:
        query = columns.where(state.c.id > last, state.c.data.is_not(None)).order_by(state.c.id).limit(_ROWS)
        rows = await database.read(query)
        for state_id, body, cache_key, timestamp in rows:
            data = state_pb2.Data.FromString(body)
            if not data.location or state_id in dropped:
                continue
            if cache_key and timestamp < before and state_id not in live:
                found.append(UnusedResult(state_id, data.location, data.size, cache_key, timestamp))
            else:
                used.add(data.location)
        if len(rows) < _ROWS:
            unused = [result for result in found if result.location not in used]
            return sorted(unused, key=lambda result: (result.created, result.state_id))
        last = rows[-1][0]


def drop_unused(results: list[UnusedResult]) -> Callable[[Transaction], list[UnusedResult]]:
    """Return the command that forgets results; those that a live entry speaks of by now are left alone."""

    def command(transaction: Transaction) -> list[UnusedResult]:
        connection = transaction.connection
        entry = schema.cache_entry
        ids = [result.state_id for result in results]
        connection.execute(
            delete(entry).where(entry.c.expires <= transaction.now, one_of(entry.c.state_id, ids))
        )
        live = set(connection.scalars(select(entry.c.state_id).where(one_of(entry.c.state_id, ids))))
        dropped = [result for result in results if result.state_id not in live]
        if dropped:
            statement = insert(schema.dropped_result).on_conflict_do_nothing()
            connection.execute(statement, [{"state_id": result.state_id} for result in dropped])
        return dropped

    return command
