"""The figures as Markdown: ``python -m benchmarks.table FILE.json [DOCUMENT.md ...]``.

Without a document, the tables are printed. In a document, they replace the text between the lines
``<!-- figures -->`` and ``<!-- /figures -->``. The first marker may select rows by their names, or parts of
them, separated by semicolons: ``<!-- figures: map over; cached hit -->``.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from benchmarks.figures import Figure, Record, number, read

_MARKED = re.compile(r"(<!-- figures(?:: (?P<names>[^>]*?))? -->\n).*?(<!-- /figures -->)", re.DOTALL)


def tables(record: Record, figures: list[Figure]) -> str:
    """Return Markdown tables of ``figures``, with and without ratios, and a line about the machine."""
    beside = [figure for figure in figures if figure.bare]
    alone = [figure for figure in figures if not figure.bare and not _is_limit(record, figure)]
    parts = []
    if beside:
        rows = [_beside(record, figure) for figure in beside]
        parts.append(_table(("what", "times the bare cost", "median", "spread", "bare limit"), rows))
    if alone:
        rows = [(figure.name, _value(figure), figure.spread) for figure in alone]
        parts.append(_table(("what", "median", "spread"), rows))
    rounds = "1 round" if record.rounds == 1 else f"{record.rounds} rounds"
    parts.append(f"Measured on {record.machine}, {rounds}, {record.date[:10]}.\n")
    return "\n".join(parts)


def is_marked(document: Path) -> bool:
    """Return True if a document has markers for tables."""
    return _MARKED.search(document.read_text(encoding="utf-8")) is not None


def fill(text: str, record: Record) -> str:
    """Return a document's text with the tables between its markers.

    Raises:
        ValueError: It has no markers, or selects rows that were not measured.
    """

    def tabled(found: re.Match[str]) -> str:
        names = [name.strip() for name in (found["names"] or "").split(";")]
        figures = record.chosen(names)
        if missing := [name for name in names if not record.chosen([name])]:
            raise ValueError(f"nothing was measured with {' or '.join(missing)} in its name")
        return f"{found[1]}\n{tables(record, figures)}\n{found[3]}"

    filled, count = _MARKED.subn(tabled, text)
    if not count:
        raise ValueError("there is no line <!-- figures --> with a line <!-- /figures --> after it")
    return filled


def _beside(record: Record, figure: Figure) -> tuple[str, ...]:
    ratio, limit = record.ratio(figure), record.figure(figure.bare)
    assert ratio is not None
    return figure.name, number(ratio), _value(figure), figure.spread, f"{limit.name}: {_value(limit)}"


def _value(figure: Figure) -> str:
    return f"{number(figure.median)} {figure.unit}"


def _is_limit(record: Record, figure: Figure) -> bool:
    return any(other.bare == figure.name for other in record.figures)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    """Print the tables, or write them into documents."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.table", description=__doc__)
    parser.add_argument("record", type=Path, metavar="FILE.json", help="what python -m benchmarks wrote")
    parser.add_argument("documents", type=Path, nargs="*", metavar="DOCUMENT.md")
    arguments = parser.parse_args()
    record = read(arguments.record)
    for document in arguments.documents:
        try:
            filled = fill(document.read_text(encoding="utf-8"), record)
        except ValueError as error:
            parser.error(f"{document}: {error}")
        document.write_text(filled, encoding="utf-8")
    if not arguments.documents:
        print(tables(record, list(record.figures)))


if __name__ == "__main__":
    main()
