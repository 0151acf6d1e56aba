"""Processes: runs measurements in separate processes with their own environments."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable


def variables(environment: dict[str, str]) -> dict[str, str]:
    """Return this process's environment, without Clearway's settings, updated with ``environment``.

    Modules are compiled once, like those of installed packages, even if this process does not write bytecode.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CLEARWAY_")}
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)
    return inherited | environment


def flow(kind: str, tasks: int, environment: dict[str, str]) -> Callable[[], float]:
    """Return a function that runs a flow of ``benchmarks.flows`` and returns the figure it prints."""
    return measured("benchmarks.flows", [kind, str(tasks)], environment)


def measured(module: str, arguments: list[str], environment: dict[str, str]) -> Callable[[], float]:
    """Return a function that runs a module and returns the last figure it prints."""

    def run() -> float:
        command = [sys.executable, "-m", module, *arguments]
        return float(output(command, environment).split()[-1])

    return run


def wall(command: list[str], environment: dict[str, str]) -> Callable[[], float]:
    """Return a function that runs ``command`` and returns its duration in seconds."""

    def run() -> float:
        begun = time.perf_counter()
        output(command, environment)
        return time.perf_counter() - begun

    return run


def output(command: list[str], environment: dict[str, str]) -> str:
    """Run a command and return its output.

    Raises:
        RuntimeError: It failed; the message includes the end of its standard error.
    """
    done = subprocess.run(command, env=variables(environment), check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout
