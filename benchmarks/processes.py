"""Processes: what is measured in one of its own, with its own environment."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable


def variables(environment: dict[str, str]) -> dict[str, str]:
    """Return this process's environment, without its settings of Clearway, and with ``environment``."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CLEARWAY_")}
    return inherited | environment


def flow(kind: str, tasks: int, environment: dict[str, str]) -> Callable[[], float]:
    """Return what runs a flow of ``benchmarks.flows`` and returns the figure that it prints."""
    return measured("benchmarks.flows", [kind, str(tasks)], environment)


def measured(module: str, arguments: list[str], environment: dict[str, str]) -> Callable[[], float]:
    """Return what runs a module and returns the figure that it prints last."""

    def run() -> float:
        command = [sys.executable, "-m", module, *arguments]
        done = subprocess.run(
            command,
            env=variables(environment),
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        return float(done.stdout.split()[-1])

    return run


def wall(command: list[str], environment: dict[str, str]) -> Callable[[], float]:
    """Return what runs ``command`` and returns its seconds from start to end."""

    def run() -> float:
        begun = time.perf_counter()
        subprocess.run(
            command,
            env=variables(environment),
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return time.perf_counter() - begun

    return run
