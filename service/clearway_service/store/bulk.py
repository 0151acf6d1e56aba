"""Bulk writes: many rows in one statement.

The driver lets other threads have the interpreter for each step of a statement, and asks for it back. While
one of them computes, as a task in this process may, that takes the interpreter's switch interval each time,
5 ms. What is executed once for each row takes a step a row; a statement of many rows takes one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any, Protocol

# More do not make it faster.
_MOST_ROWS = 64
_VALUES = re.compile(r"VALUES (\([?, ]+\))")

Row = Sequence[Any]


class Cursor(Protocol):
    """The driver's connection, as far as it is used here."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Any:
        """Run ``sql``."""


def execute_rows(cursor: Cursor, sql: str, rows: Sequence[Row]) -> None:
    """Execute a statement for rows, in their order.

    Args:
        cursor: Inside a transaction.
        sql: The statement for one row, which has its values as ``VALUES (?, ?)``.
        rows: The values of each; none at all does nothing.
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
