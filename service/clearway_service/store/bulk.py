"""Bulk writes: many rows in one statement.

The driver releases the GIL for each step of a statement and then takes it back. While another thread
computes, such as a task in this process, taking it back costs the interpreter's switch interval, 5 ms, each
time. A statement executed once for each row has a step for each row; a statement of many rows has one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any, Protocol

# More rows do not make it faster.
_MOST_ROWS = 64
_VALUES = re.compile(r"VALUES (\([?, ]+\))")

Row = Sequence[Any]


class Cursor(Protocol):
    """The part of the driver's connection that is used here."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Any:
        """Execute ``sql``."""


def execute_rows(cursor: Cursor, sql: str, rows: Sequence[Row]) -> None:
    """Execute a statement for rows, in order.

    Args:
        cursor: The connection, inside a transaction.
        sql: The statement for one row, with its values as ``VALUES (?, ?)``.
        rows: The values of each row; an empty sequence does nothing.
    """
    if len(rows) == 1:
        cursor.execute(sql, rows[0])
        return
    done, size = 0, _MOST_ROWS
    while done < len(rows):
        # Sizes are powers of two, so that there are few statements to prepare.
        while size > len(rows) - done:
            size //= 2
        values = list(chain.from_iterable(rows[done : done + size]))
        cursor.execute(of_rows(sql, size), values)
        done += size


@cache
def of_rows(sql: str, count: int) -> str:
    """Return the statement for ``count`` rows."""
    return _VALUES.sub(lambda found: f"VALUES {', '.join([found[1]] * count)}", sql, count=1)
