"""Measuring: takes each measurement once per round, and prints the figures."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure, Record, number

_WIDTH = 160


@dataclass(frozen=True)
class Measurement:
    """A measurement: the fields of a ``Figure``, and a function that returns one round's value."""

    name: str
    unit: str
    measure: Callable[[], float]
    bare: str = ""
    more_is_better: bool = False
    once: bool = False
    """Whether it is so slow that it is measured in the first round only."""


def screen() -> Console:
    """Return the console for figures: as wide as the terminal, and wide enough for a file or a pipe."""
    return Console(width=None if sys.stdout.isatty() else _WIDTH)


def chosen(measurements: Iterable[Measurement], names: Iterable[str]) -> list[Measurement]:
    """Return the measurements whose names contain one of ``names``, and their limits."""
    measurements, names = list(measurements), list(names)
    wanted = {each.name for each in measurements if any(name in each.name for name in names)}
    while more := {each.bare for each in measurements if each.name in wanted and each.bare} - wanted:
        wanted |= more  # a limit may have a limit itself
    return [each for each in measurements if each.name in wanted]


def measure(measurements: Iterable[Measurement], rounds: int, console: Console) -> Record:
    """Take each measurement once per round, so that a slow minute of the machine affects all equally."""
    measurements = list(measurements)
    date = datetime.now(UTC).isoformat(timespec="minutes")
    values: dict[str, list[float]] = {measurement.name: [] for measurement in measurements}
    for round_ in range(1, rounds + 1):
        for measurement in measurements:
            if measurement.once and round_ > 1:
                continue
            with console.status(f"round {round_} of {rounds}: {measurement.name}"):
                values[measurement.name].append(measurement.measure())
    figures = tuple(
        Figure(each.name, each.unit, tuple(values[each.name]), each.bare, each.more_is_better)
        for each in measurements
    )
    machine = f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    return Record(date, machine, rounds, figures)


def report(record: Record, console: Console) -> None:
    """Print the figures, with their ratios to the bare limits."""
    table = Table(title="Medians; a ratio says how many times the bare limit's cost")
    for column in ("what", "ratio", "median", "unit", "lowest to highest", "bare limit"):
        table.add_column(column, justify="right" if column in {"median", "ratio"} else "left")
    for figure in record.figures:
        ratio = record.ratio(figure)
        cells = ("" if ratio is None else number(ratio), number(figure.median), figure.unit, figure.spread)
        table.add_row(figure.name, *cells, figure.bare)
    console.print(table)
    console.print(f"{record.machine}, {record.rounds} rounds, {record.date}")
