"""Sessions: leases on the runs that a client runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, delete, func, insert, select, text, update

from clearway_service.core.runs import RunKind
from clearway_service.errors import SessionExpiredError
from clearway_service.store import schema
from clearway_service.store.transaction import Transaction

_session = schema.session
_waiter = schema.waiter


class Client(NamedTuple):
    """Who is at the other end of a session: a name for people, its language, its library's version."""

    name: str
    language: str
    version: str


def open_session(
    session_id: str, client: Client, lease: int, process: str = ""
) -> Callable[[Transaction], None]:
    """Return the command that opens a session for ``lease`` microseconds.

    Args:
        session_id: Its UUID.
        client: Who is at the other end.
        lease: How long it lives if nothing more is heard.
        process: The client's process, as ``processes.this_process`` names it; empty where it is not known.
    """

    def command(transaction: Transaction) -> None:
        row = {
            "id": session_id,
            "client_name": client.name,
            "language": client.language,
            "version": client.version,
            "opened": transaction.now,
            "expires": transaction.now + lease,
            "process": process,
            "ended": False,
        }
        transaction.connection.execute(insert(_session).values(row))

    return command


def resume_session(session_id: str, lease: int, field: str) -> Callable[[Transaction], None]:
    """Return the command that gives a session, named by ``field``, that has not ended a new lease."""

    def command(transaction: Transaction) -> None:
        if not renew_sessions({session_id: transaction.now + lease})(transaction):
            raise SessionExpiredError(f"session {session_id} has ended, or never was; open a new one", field)

    return command


def shorten_session(session_id: str, grace: int) -> Callable[[Transaction], None]:
    """Return the command that leaves a session ``grace`` microseconds, if it has more."""

    def command(transaction: Transaction) -> None:
        expires = transaction.now + grace
        mine = (_session.c.id == session_id) & (_session.c.expires > expires)
        transaction.connection.execute(
            update(_session).where(mine).values(expires=expires, lost=transaction.now)
        )

    return command


def renew_sessions(expires: Mapping[str, int]) -> Callable[[Transaction], set[str]]:
    """Return the command that sets when sessions run out, and answers which of them are open."""

    def command(transaction: Transaction) -> set[str]:
        connection, ids = transaction.connection, list(expires)
        is_open = _session.c.id.in_(ids) & _session.c.ended.is_(False)
        found = set(connection.scalars(select(_session.c.id).where(is_open)))
        for session_id in found:
            mine = _session.c.id == session_id
            connection.execute(update(_session).where(mine).values(expires=expires[session_id], lost=None))
        return found

    return command


def reopen_session(session_id: str, lease: int) -> Callable[[Transaction], None]:
    """Return the command that opens a session that has ended again, with nothing of what it had."""

    def command(transaction: Transaction) -> None:
        mine = _session.c.id == session_id
        statement = update(_session).where(mine).values(ended=False, expires=transaction.now + lease)
        transaction.connection.execute(statement)

    return command


def extend_all_sessions(lease: int) -> Callable[[Transaction], None]:
    """Return the command that gives each open session at least ``lease`` from now."""

    def command(transaction: Transaction) -> None:
        least = transaction.now + lease
        statement = update(_session).where(_session.c.ended.is_(False), _session.c.expires < least)
        transaction.connection.execute(statement.values(expires=least))

    return command


def end_session(session_id: str, message: str) -> Callable[[Transaction], None]:
    """Return the command that ends a session: its running runs crash, and its waiters leave the queue."""

    def command(transaction: Transaction) -> None:
        _end(transaction, {session_id: message})

    return command


def expire_sessions(
    lease: int, is_dead: Callable[[str], bool], by: int | None = None
) -> Callable[[Transaction], int | None]:
    """Return the command that ends the sessions whose leases have run out, or whose processes have died.

    Args:
        lease: How long a session outlives a silent client, in microseconds.
        is_dead: Whether a process, by its name, has provably died.
        by: When leases have run out, in microseconds since 1970; None for the transaction's time.

    The command answers when the next lease runs out, in microseconds since 1970; None where there is none.
    """

    def command(transaction: Transaction) -> int | None:
        connection = transaction.connection
        messages = {}
        past = transaction.now if by is None else by
        for row in connection.execute(select(_session).where(_session.c.ended.is_(False))):
            if row.expires <= past:
                messages[row.id] = _expired(row, lease)
            elif row.process and is_dead(row.process):
                found = _time(transaction.now)
                messages[row.id] = f"lost its client {row.client_name}: its process was found dead at {found}"
        if messages:
            _end(transaction, messages)
            # A process that died may have been about to answer those who waited for its slots.
            waiting = select(_waiter.c.blocking_tag).where(_waiter.c.until.is_(None)).distinct()
            transaction.woken_tags.update(connection.scalars(waiting))
        remove_waiters(transaction, _waiter.c.until <= past)
        is_open = _session.c.ended.is_(False)
        earliest: int | None = connection.scalar(select(func.min(_session.c.expires)).where(is_open))
        return earliest

    return command


def remove_waiters(transaction: Transaction, which: ColumnElement[bool]) -> None:
    """Take waiters out of the queues; the slots that were kept for them are for others then."""
    connection, elders = transaction.connection, schema.waiter_tag
    kept = elders.c.proposal_id.in_(select(_waiter.c.proposal_id).where(which))
    transaction.woken_tags.update(connection.scalars(select(elders.c.tag).where(kept).distinct()))
    transaction.left_queue.update(connection.scalars(select(_waiter.c.proposal_id).where(which)))
    connection.execute(delete(elders).where(kept))
    connection.execute(delete(_waiter).where(which))


def _expired(row: Any, lease: int) -> str:
    if row.lost is not None:
        seconds = (row.expires - row.lost) / 1e6
        return (
            f"lost its client {row.client_name}: its stream broke at {_time(row.lost)}, "
            f"and it did not come back within {seconds:g} s"
        )
    heard = _time(row.expires - lease)
    return f"lost its client {row.client_name}: nothing was heard of it after {heard}"


def _time(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat(timespec="seconds")


def _end(transaction: Transaction, messages: dict[str, str]) -> None:
    connection, ids = transaction.connection, list(messages)
    connection.execute(update(_session).where(_session.c.id.in_(ids)).values(ended=True))
    # An engine has a session too: with it go those who asked it without a session of their own.
    remove_waiters(
        transaction,
        _waiter.c.session_id.in_(ids)
        | (_waiter.c.owner.in_(ids) & (_waiter.c.session_id == "") & _waiter.c.until.is_(None)),
    )
    connection.execute(delete(schema.delivery).where(schema.delivery.c.owner.in_(ids)))
    for kind, table in ((RunKind.FLOW, schema.flow_run), (RunKind.TASK, schema.task_run)):
        # The type as a literal, so that the index of Running runs serves.
        running = table.c.session_id.in_(ids) & (table.c.state_type == text("3"))
        query = (
            select(table.c.id, table.c.session_id).where(running).order_by(table.c.session_id, table.c.seq)
        )
        for run_id, session_id in connection.execute(query):
            transaction.ended_runs[kind, run_id] = messages[session_id]
