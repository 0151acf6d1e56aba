"""Timeline: the origin of a file's steady clock, shared by all engines that have the file open.

Engines of one boot read the same counter of the machine, so a shared offset gives them one steady clock,
however the wall clock was set between their starts. The counter of another boot or machine starts elsewhere:
the first engine that opens the file there picks a new offset.
"""

from __future__ import annotations

from collections.abc import Callable

from clearway_service.store import rendered_statements as statements
from clearway_service.store.transaction import Transaction

_SECOND = 1_000_000


def join_timeline(name: str, ticks: Callable[[], int], lease: int) -> Callable[[Transaction], int]:
    """Return the command that returns the offset from ``ticks`` to the file's steady clock.

    On a new timeline the steady clock continues from the wall clock or, if the wall clock is behind it, from
    the latest time that the file knows. So a delay that began before a reboot ends no later than its own
    length after it, and no lease from before the reboot has more than ``lease`` left.

    Args:
        name: The origin of ``ticks``; counters with the same name agree.
        ticks: A counter of microseconds that only runs forward.
        lease: How long a session outlives a silent client, in microseconds.
    """

    def command(transaction: Transaction) -> int:
        driver, present = transaction.driver, ticks()
        known, anchor, latest = driver.execute(statements.TIMELINE).fetchone() or ("", 0, 0)
        # A machine restored from a snapshot has the same boot name, but its counter went back.
        if known == name and present + anchor >= latest - _SECOND:
            return int(anchor)
        steady = max(transaction.now, latest)
        driver.execute(statements.DELETE_TIMELINE)
        driver.execute(statements.INSERT_TIMELINE, (name, steady - present, steady))
        driver.execute(statements.CUT_SESSIONS, (steady + lease, steady + lease))
        return int(steady - present)

    return command


def note_steady() -> Callable[[Transaction], None]:
    """Return the command that records the steady clock's latest time, to within a second."""

    def command(transaction: Transaction) -> None:
        steady = transaction.steady
        transaction.driver.execute(statements.NOTE_STEADY, (steady, steady - _SECOND))

    return command
