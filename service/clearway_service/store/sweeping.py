"""Sweeping: expired cache entries are deleted, a limited number at a time."""

from __future__ import annotations

from collections.abc import Callable

from clearway_service.store import statements
from clearway_service.store.transaction import Transaction


def sweep(limit: int) -> Callable[[Transaction], int]:
    """Return the command that removes at most ``limit`` expired entries, and returns how many it removed."""

    def command(transaction: Transaction) -> int:
        return transaction.driver.execute(statements.SWEEP_CACHE, (transaction.now, limit)).rowcount

    return command
