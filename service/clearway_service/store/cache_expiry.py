"""Cache expiry: expired entries are deleted, some at a time."""

from __future__ import annotations

from collections.abc import Callable

from clearway_service.store import rendered_statements as statements
from clearway_service.store.transaction import Transaction


def delete_expired(limit: int) -> Callable[[Transaction], int]:
    """Return the command that deletes at most ``limit`` expired entries, and returns how many it did."""

    def command(transaction: Transaction) -> int:
        return transaction.driver.execute(statements.DELETE_EXPIRED, (transaction.now, limit)).rowcount

    return command
