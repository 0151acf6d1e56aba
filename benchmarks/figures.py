"""Figures: medians over rounds that are taken in turn, and how they are printed."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """One measured thing.

    Attributes:
        name: What was measured.
        unit: Of the values.
        values: One for each round.
        bare: The name of the figure that is its limit; empty for a limit itself.
        more_is_better: Whether a larger value is the better one.
    """

    name: str
    unit: str
    values: tuple[float, ...]
    bare: str = ""
    more_is_better: bool = False

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.values)

    @property
    def spread(self) -> str:
        """The smallest and the largest of the rounds."""
        return f"{_number(min(self.values))} to {_number(max(self.values))}"


@dataclass(frozen=True)
class Measurement:
    """Something to measure: as a ``Figure``, with what returns the value of one round."""

    name: str
    unit: str
    measure: Callable[[], float]
    bare: str = ""
    more_is_better: bool = False
    once: bool = False
    """Whether it takes so long that the first round has to do."""


def chosen(measurements: Iterable[Measurement], names: Iterable[str]) -> list[Measurement]:
    """Return the measurements whose names have one of ``names`` in them, and the limits of these."""
    measurements, names = list(measurements), list(names)
    wanted = {each.name for each in measurements if any(name in each.name for name in names)}
    wanted |= {each.bare for each in measurements if each.name in wanted}
    return [each for each in measurements if each.name in wanted]


def measure(measurements: Iterable[Measurement], rounds: int, console: Console) -> list[Figure]:
    """Measure each of ``measurements`` once a round, so that a slow minute of the machine hits all alike."""
    measurements = list(measurements)
    values: dict[str, list[float]] = {measurement.name: [] for measurement in measurements}
    for number in range(1, rounds + 1):
        for measurement in measurements:
            if measurement.once and number > 1:
                continue
            with console.status(f"round {number} of {rounds}: {measurement.name}"):
                values[measurement.name].append(measurement.measure())
    return [
        Figure(each.name, each.unit, tuple(values[each.name]), each.bare, each.more_is_better)
        for each in measurements
    ]


def report(figures: list[Figure], console: Console) -> None:
    """Print the figures, each as a ratio to its bare limit."""
    medians = {figure.name: figure.median for figure in figures}
    table = Table(title="Medians; a ratio says how many times the bare limit's cost")
    for column in ("what", "median", "unit", "lowest to highest", "ratio", "bare limit"):
        table.add_column(column, justify="right" if column in {"median", "ratio"} else "left")
    for figure in figures:
        ratio = ""
        if figure.bare:
            limit = medians[figure.bare]
            ratio = _number(limit / figure.median if figure.more_is_better else figure.median / limit)
        table.add_row(figure.name, _number(figure.median), figure.unit, figure.spread, ratio, figure.bare)
    console.print(table)


def write(figures: list[Figure], path: Path) -> None:
    """Write the figures as JSON."""
    path.write_text(json.dumps([asdict(figure) for figure in figures], indent=2) + "\n")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits say enough
