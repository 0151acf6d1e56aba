"""Tables that fit the terminal and keep what people copy: ids may be short, and are never ambiguous."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.table import Table
from rich.text import Text

from clearway_cli import _ids, _output

_GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        title: Its heading.
        fold_to: How narrow it may become, its text folded over several lines; None: it is never folded.
        crop_to: How narrow it may become, with the rest of its text left out; None: it is never cropped.
        ids: Whether it has ids, of which a beginning is enough where the terminal is too narrow for all.
        optional: Where the terminal is too narrow for all columns, it is left out; the last one first.
    """

    title: str
    fold_to: int | None = None
    crop_to: int | None = None
    ids: bool = False
    optional: bool = False


def show(columns: Sequence[Column], rows: Sequence[Sequence[Text]]) -> None:
    """Write a table to stdout; each row is one line unless a column of it is folded."""
    available = _output.width()
    rows = _with_short_ids(columns, rows, available)
    cells = [[row[index] for row in rows] for index in range(len(columns))]
    widths = [_least_width(column, cells[index]) for index, column in enumerate(columns)]
    shown = fitting(columns, widths, available)
    left = available - _total([widths[index] for index in shown])
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for index in shown:
        column = columns[index]
        if column.crop_to is not None:
            wider = min(max(0, left), _natural_width(column, cells[index]) - widths[index])
            left -= wider
            widths[index] += wider
            cells[index] = [_cropped(cell, widths[index]) for cell in cells[index]]
        folds = column.fold_to is not None
        table.add_column(column.title, no_wrap=not folds, overflow="fold", min_width=widths[index])
    for number in range(len(rows)):
        table.add_row(*(cells[index][number] for index in shown))
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


def _with_short_ids(
    columns: Sequence[Column], rows: Sequence[Sequence[Text]], available: int
) -> Sequence[Sequence[Text]]:
    """Return rows with short ids, if lines would be longer than the terminal is wide with whole ones."""
    natural = [_natural_width(column, [row[index] for row in rows]) for index, column in enumerate(columns)]
    if _total(natural) <= available:
        return rows
    short = {
        index: _ids.shortened(row[index].plain for row in rows)
        for index, column in enumerate(columns)
        if column.ids
    }
    return [
        [
            Text(short[index].get(cell.plain, cell.plain)) if index in short else cell
            for index, cell in enumerate(row)
        ]
        for row in rows
    ]


def _cropped(cell: Text, width: int) -> Text:
    if cell_len(cell.plain) <= width:
        return cell
    mark = _output.ellipsis()
    return Text(set_cell_size(cell.plain, width - len(mark)).rstrip() + mark, style=cell.style)


def _natural_width(column: Column, cells: Sequence[Text]) -> int:
    lines = [line for cell in cells for line in cell.plain.split("\n")]
    return max(cell_len(line) for line in (column.title, *lines))


def _least_width(column: Column, cells: Sequence[Text]) -> int:
    natural = _natural_width(column, cells)
    least = column.fold_to if column.crop_to is None else max(column.crop_to, cell_len(column.title))
    return natural if least is None else min(natural, least)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * max(0, len(widths) - 1)
