"""Figures: what one run measured, as medians with their spread and as ratios to their bare limits."""

from __future__ import annotations

import json
import statistics
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path


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
        """The smallest and the largest of the rounds; empty where there was one."""
        if len(self.values) == 1:
            return ""
        return f"{number(min(self.values))} to {number(max(self.values))}"


@dataclass(frozen=True)
class Record:
    """What one run measured.

    Attributes:
        date: When it began.
        machine: What it ran on.
        rounds: How often each thing was measured, but for those that take long.
        figures: What was measured, in order.
    """

    date: str
    machine: str
    rounds: int
    figures: tuple[Figure, ...]

    def figure(self, name: str) -> Figure:
        """Return the figure called ``name``.

        Raises:
            KeyError: There is none.
        """
        for figure in self.figures:
            if figure.name == name:
                return figure
        raise KeyError(name)

    def ratio(self, figure: Figure) -> float | None:
        """Return how many times its bare limit's cost a figure is; None where it has no limit."""
        if not figure.bare:
            return None
        limit = self.figure(figure.bare).median
        return limit / figure.median if figure.more_is_better else figure.median / limit

    def chosen(self, names: Collection[str]) -> list[Figure]:
        """Return the figures with one of ``names``: the one called so, else all that contain it."""
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
    """Return a value with the digits that say something: three of them, or all before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004
