"""Figures: the results of one run, as medians with spread and as ratios to their bare limits."""

from __future__ import annotations

import json
import statistics
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """One measured figure.

    Attributes:
        name: What was measured.
        unit: The unit of the values.
        values: One value per round.
        bare: The name of the figure that is its bare limit; empty for a limit itself.
        more_is_better: Whether larger values are better.
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
        """The smallest and the largest value; empty for a single round."""
        if len(self.values) == 1:
            return ""
        return f"{number(min(self.values))} to {number(max(self.values))}"


@dataclass(frozen=True)
class Record:
    """The results of one run.

    Attributes:
        date: When it started.
        machine: The machine it ran on.
        rounds: The number of rounds; slow measurements are taken only once.
        figures: The figures, in order.
    """

    date: str
    machine: str
    rounds: int
    figures: tuple[Figure, ...]

    def figure(self, name: str) -> Figure:
        """Return the figure called ``name``.

        Raises:
            KeyError: There is no such figure.
        """
        for figure in self.figures:
            if figure.name == name:
                return figure
        raise KeyError(name)

    def ratio(self, figure: Figure) -> float | None:
        """Return a figure's cost as a multiple of its bare limit's; None if it has no limit."""
        if not figure.bare:
            return None
        limit = self.figure(figure.bare).median
        return limit / figure.median if figure.more_is_better else figure.median / limit

    def chosen(self, names: Collection[str]) -> list[Figure]:
        """Return the figures selected by ``names``: for each, the exact match, else all that contain it."""
        every = {figure.name for figure in self.figures}
        exact, partial = set(names) & every, set(names) - every
        return [
            figure
            for figure in self.figures
            if figure.name in exact or any(name in figure.name for name in partial)
        ]


def write(record: Record, path: Path) -> None:
    """Write a record as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> Record:
    """Read what ``write`` wrote."""
    content = json.loads(path.read_text(encoding="utf-8"))
    figures = (Figure(**each | {"values": tuple(each["values"])}) for each in content["figures"])
    return Record(**content | {"figures": tuple(figures)})


def number(value: float) -> str:
    """Format a value with three significant digits, or all digits before the decimal point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004
