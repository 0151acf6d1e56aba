"""How sessions end: their leases expire, their processes die, or they are closed. Their runs then crash."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from clearway_service.core.moment import Moment
from clearway_service.core.resources import Resource
from clearway_service.core.runs import RunKind
from clearway_service.store import rendered_statements as statements
from clearway_service.store.bulk import execute_rows
from clearway_service.store.loading_parts import array
from clearway_service.store.resources import resource_from
from clearway_service.store.transaction import Transaction
from clearway_service.texts import plain


class _Open(NamedTuple):
    """A session that has not ended, as in ``statements.OPEN_SESSIONS``."""

    id: str
    client_name: str
    expires: int
    lost: int | None
    process: str


def end_session(session_id: str, message: str) -> Callable[[Transaction], None]:
    """Return the command that ends a session: its running runs crash, and its waiters leave the queue."""

    def command(transaction: Transaction) -> None:
        _end(transaction, {session_id: message})

    return command


def _unproven(_process: str) -> bool:
    return False


def expire_sessions(
    lease: int,
    is_dead: Callable[[str], bool],
    by: int | None = None,
    is_alive: Callable[[str], bool] = _unproven,
    away_until: int | None = None,
) -> Callable[[Transaction], int | None]:
    """Return the command that ends the sessions whose leases have expired or whose processes have died.

    A session whose process is proven to be alive gets another lease instead, regardless of the clock.

    Args:
        lease: How long a session outlives a silent client, in microseconds.
        is_dead: Whether a process, by its name, is proven to be dead.
        by: The time by which leases have expired, in microseconds of the steady clock; None for the
            transaction's time.
        is_alive: Whether a process, by its name, is proven to be alive and running.
        away_until: Until when clients could not reach this engine, in microseconds of the steady clock; None
            if that is not known.

    The command returns when the next lease expires, in microseconds of the steady clock, or None if there is
    none.
    """

    def command(transaction: Transaction) -> int | None:
        driver = transaction.driver
        messages = {}
        past = transaction.steady if by is None else by
        renewed: list[tuple[int, None, str]] = []
        for session in map(_Open._make, driver.execute(statements.OPEN_SESSIONS)):
            if session.expires <= past:
                if session.process and is_alive(session.process):
                    renewed.append((past + lease, None, session.id))
                else:
                    messages[session.id] = _expired(session, lease, transaction.moment, away_until)
            elif session.process and is_dead(session.process):
                found = _time(transaction.now)
                messages[session.id] = (
                    f"lost its client {plain(session.client_name)}: its process was found dead at {found}"
                )
        execute_rows(driver, statements.RENEW_SESSION, renewed)
        if messages:
            _end(transaction, messages)
            # A process that died may have been about to notify the waiters for its slots.
            blockers = driver.execute(statements.WAITED_BLOCKERS)
            transaction.woken.update(resource_from(column) for (column,) in blockers)
        remove_waiters(transaction, _ids(driver.execute(statements.LAPSED_WAITERS, (past,))))
        earliest: int | None = driver.execute(statements.NEXT_EXPIRY).fetchone()[0]
        return earliest

    return command


def remove_waiters(transaction: Transaction, proposal_ids: Iterable[str]) -> None:
    """Remove waiting proposals from the queues; slots that were reserved for them are then free."""
    driver, asked = transaction.driver, list(proposal_ids)
    found = _ids(driver.execute(statements.WAITER_IDS, (array(asked),))) if asked else []
    if not found:
        return
    tags = driver.execute(statements.ELDER_TAGS, (array(found),))
    transaction.woken.update(Resource.of_tag(tag) for (tag,) in tags)
    transaction.left_queue.update(found)
    execute_rows(driver, statements.DELETE_WAITER_TAGS, [(id_,) for id_ in found])
    execute_rows(driver, statements.DELETE_WAITER, [(id_,) for id_ in found])


def _ids(rows: Iterable[tuple[str]]) -> list[str]:
    return [id_ for (id_,) in rows]


def _expired(row: _Open, lease: int, moment: Moment, away_until: int | None) -> str:
    last_seen = row.expires - lease if row.lost is None else row.lost
    if away_until is not None and last_seen <= away_until < row.expires:
        seconds = (row.expires - away_until) / 1e6
        return (
            f"lost its client {plain(row.client_name)}: the server was away until "
            f"{_time(moment.wall_time(away_until))}, and {seconds:.0f} s later the client was not there"
        )
    if row.lost is not None:
        seconds = (row.expires - row.lost) / 1e6
        broke = _time(moment.wall_time(row.lost))
        return (
            f"lost its client {plain(row.client_name)}: its stream broke at {broke}, "
            f"and it did not reconnect within {seconds:g} s"
        )
    heard = _time(moment.wall_time(row.expires - lease))
    return f"lost its client {plain(row.client_name)}: it was last seen at {heard}"


def _time(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat(timespec="seconds")


def _end(transaction: Transaction, messages: dict[str, str]) -> None:
    driver, ids = transaction.driver, array(messages)
    execute_rows(driver, statements.END_SESSION, [(True, id_) for id_ in messages])
    remove_waiters(transaction, _ids(driver.execute(statements.WAITERS_OF_SESSIONS, (ids, ids))))
    driver.executemany(statements.DELETE_DELIVERIES, [(id_,) for id_ in messages])
    for kind, running in (
        (RunKind.FLOW, statements.RUNNING_FLOW_RUNS),
        (RunKind.TASK, statements.RUNNING_TASK_RUNS),
    ):
        for run_id, session_id in driver.execute(running, (ids,)):
            transaction.ended_runs[kind, run_id] = messages[session_id]
