"""Scripts: whole programs, from the start of the process to its end."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.flows import SHORT
from benchmarks.measuring import Measurement
from benchmarks.processes import wall
from benchmarks.slots import limited

_FLOWS = [sys.executable, "-m", "benchmarks.flows"]


def imported(python: str) -> Measurement:
    """Return the measurement of the import, compared to the limit named ``python``."""
    return Measurement("import clearway", "s", wall([sys.executable, "-c", "import clearway"], {}), python)


def scripts(embedded: dict[str, str], server: dict[str, str], folder: Path, python: str) -> list[Measurement]:
    """Return the measurements of whole programs.

    Args:
        embedded: The environment for the embedded engine.
        server: The environment for a server.
        folder: The folder for new homes.
        python: The name of the limit: Python without a program.
    """
    measurements = [
        Measurement("one-task script, new home", "s", _in_new_home(folder, [*_FLOWS, "one", "1"]), python)
    ]
    for place, environment in (("embedded", embedded), ("server", server)):
        one = wall([*_FLOWS, "one", "1"], environment)
        measurements += [
            Measurement(f"one-task script, {place}", "s", one, python),
            Measurement(f"script of 10 tasks of 10 ms, limit 2, {place}", "s", _short(environment), python),
        ]
    return measurements


def _short(environment: dict[str, str]) -> Callable[[], float]:
    """Return a function that measures a program of ten tasks of 10 ms under a limit of 2."""

    def run() -> float:
        limited(environment, SHORT, 2)
        return wall([*_FLOWS, "short", "10"], environment)()

    return run


def _in_new_home(folder: Path, command: list[str]) -> Callable[[], float]:
    """Return a function that measures a program that has to create its database first."""

    def run() -> float:
        with tempfile.TemporaryDirectory(dir=folder) as home:
            return wall(command, {"CLEARWAY_HOME": home})()

    return run
