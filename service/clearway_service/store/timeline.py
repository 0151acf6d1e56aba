"""Timeline: what the steady clock of a file counts from, for all engines that have the file open.

Engines of one boot read the same counter of the machine, so an offset that they share gives them one steady
clock, however the wall clock was set between their starts. The counter of another boot, or of another
machine, begins elsewhere: the first engine that opens the file there picks a new offset.
"""

from __future__ import annotations

from collections.abc import Callable

from clearway_service.store import statements
from clearway_service.store.transaction import Transaction

_SECOND = 1_000_000


def join_timeline(name: str, ticks: Callable[[], int], lease: int) -> Callable[[Transaction], int]:
    """Return the command that returns what to add to ``ticks`` for the file's steady clock.

    On a new timeline the steady clock continues from the wall clock, or from the latest time that the file
    knows where the wall clock is behind that: a delay that began before a reboot is over at the latest when
    that much time has passed after it. No lease of before a reboot is left more than ``lease``.

    Args:
        name: What ``ticks`` counts from; counters of one name agree.
        ticks: A counter of microseconds that only runs forward.
        lease: How long a session outlives a silent client, in microseconds.
    """

    def command(transaction: Transaction) -> int:
        driver, present = transaction.driver, ticks()
        known, anchor, latest = driver.execute(statements.TIMELINE).fetchone() or ("", 0, 0)
        # A machine that was restored from a snapshot has the boot's name, and a counter that went back.
        if known == name and present + anchor >= latest - _SECOND:
            return int(anchor)
        steady = max(transaction.now, latest)
        driver.execute(statements.DELETE_TIMELINE)
        driver.execute(statements.INSERT_TIMELINE, (name, steady - present, steady))
        driver.execute(statements.CUT_SESSIONS, (steady + lease, steady + lease))
        return int(steady - present)

    return command


def note_steady() -> Callable[[Transaction], None]:
    """Return the command that notes how far the steady clock has come, to within a second."""

    def command(transaction: Transaction) -> None:
        steady = transaction.steady
        transaction.driver.execute(statements.NOTE_STEADY, (steady, steady - _SECOND))

    return command
