"""Tables that fit the terminal without truncating what people must copy."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from clearway_cli import _output

_GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        title: Its heading.
        fold_to: The minimum width to which its text may be folded over several lines; None to never fold it.
        optional: Whether it may be left out if the terminal is too narrow, starting with the last one.
    """

    title: str
    fold_to: int | None = None
    optional: bool = False


def show(columns: Sequence[Column], rows: Sequence[Sequence[Text]]) -> None:
    """Write a table to stdout."""
    widths = [_least_width(column, [row[index] for row in rows]) for index, column in enumerate(columns)]
    shown = fitting(columns, widths, _output.width())
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for index in shown:
        folds = columns[index].fold_to is not None
        table.add_column(columns[index].title, no_wrap=not folds, overflow="fold", min_width=widths[index])
    for row in rows:
        table.add_row(*(row[index] for index in shown))
    _output.show(table, least_width=_total([widths[index] for index in shown]) + _GAP)


def show_facts(facts: Sequence[tuple[str, Text]], *, never_folded: int = 36) -> None:
    """Write names and values, one per line; values of up to ``never_folded`` characters are not folded."""
    table = Table.grid(padding=(0, _GAP, 0, 0))
    names = max(cell_len(name) for name, _ in facts)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold", min_width=never_folded)
    for name, value in facts:
        table.add_row(name, value)
    _output.show(table, least_width=names + never_folded + 2 * _GAP)


def fitting(columns: Sequence[Column], widths: Sequence[int], available: int) -> list[int]:
    """Return the indexes of the columns to show: all, or fewer if the last optional ones do not fit.

    Args:
        columns: The table's columns.
        widths: The minimum width of each.
        available: The terminal's width.
    """
    shown = list(range(len(columns)))
    for index in reversed(range(len(columns))):
        if _total([widths[kept] for kept in shown]) <= available:
            break
        if columns[index].optional:
            shown.remove(index)
    return shown


def _least_width(column: Column, cells: Sequence[Text]) -> int:
    lines = [line for cell in cells for line in cell.plain.split("\n")]
    natural = max(cell_len(line) for line in (column.title, *lines))
    return natural if column.fold_to is None else min(natural, column.fold_to)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * max(0, len(widths) - 1)
