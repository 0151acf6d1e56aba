"""Sessions: leases on the runs that a client executes. Leases use the steady clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from clearway_service.errors import SessionExpiredError
from clearway_service.store import rendered_statements as statements
from clearway_service.store.bulk import execute_rows
from clearway_service.store.loading_parts import array
from clearway_service.store.transaction import Transaction


class Client(NamedTuple):
    """The client of a session: a name for people, its language, its library's version."""

    name: str
    language: str
    version: str


def open_session(
    session_id: str, client: Client, lease: int, process: str = ""
) -> Callable[[Transaction], None]:
    """Return the command that opens a session for ``lease`` microseconds.

    Args:
        session_id: Its UUID.
        client: The client.
        lease: How long the session lives without another message, in microseconds.
        process: The client's process, as named by ``processes.this_process``; empty if unknown.
    """

    def command(transaction: Transaction) -> None:
        expires = transaction.steady + lease
        row = (session_id, *client, transaction.now, expires, process, False)
        transaction.driver.execute(statements.INSERT_SESSION, row)

    return command


def resume_session(session_id: str, lease: int, field: str) -> Callable[[Transaction], None]:
    """Return the command that renews the lease of an open session, which the field ``field`` names."""

    def command(transaction: Transaction) -> None:
        if not renew_sessions({session_id: transaction.steady + lease})(transaction):
            message = f"session {session_id} has ended or is unknown; open a new one"
            raise SessionExpiredError(message, field, session_id=session_id)

    return command


def shorten_session(session_id: str, grace: int) -> Callable[[Transaction], None]:
    """Return the command that cuts a session's remaining lease to ``grace`` microseconds, if it has more."""

    def command(transaction: Transaction) -> None:
        expires = transaction.steady + grace
        row = (expires, transaction.steady, session_id, expires)
        transaction.driver.execute(statements.SHORTEN_SESSION, row)

    return command


def renew_sessions(expires: Mapping[str, int]) -> Callable[[Transaction], set[str]]:
    """Return the command that sets when sessions expire, and returns which of them are open.

    Args:
        expires: The expiry time by session, in microseconds of the steady clock.
    """

    def command(transaction: Transaction) -> set[str]:
        driver = transaction.driver
        found = {id_ for id_, *_ in driver.execute(statements.SESSIONS_BY_ID, (array(expires),))}
        execute_rows(driver, statements.RENEW_SESSION, [(expires[id_], None, id_) for id_ in found])
        return found

    return command


def reopen_session(session_id: str, lease: int) -> Callable[[Transaction], None]:
    """Return the command that reopens a session that has ended, without the runs that it held."""

    def command(transaction: Transaction) -> None:
        row = (transaction.steady + lease, False, session_id)
        transaction.driver.execute(statements.REOPEN_SESSION, row)

    return command


def extend_all_sessions(lease: int) -> Callable[[Transaction], None]:
    """Return the command that extends each open session to at least ``lease`` from now."""

    def command(transaction: Transaction) -> None:
        least = transaction.steady + lease
        transaction.driver.execute(statements.EXTEND_SESSIONS, (least, least))

    return command
