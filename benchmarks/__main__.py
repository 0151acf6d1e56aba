"""Run every benchmark: ``make bench``, or ``python -m benchmarks --rounds 5 --json FILE``."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from benchmarks.bare import SqliteFile, echo_rate, echo_round_trip
from benchmarks.figures import Measurement, measure, report, write
from benchmarks.stream import proposal_latency, transitions_rate
from support.server import Server

_PROPOSALS = 20_480
_TIMES = 500
_SEQUENTIAL = 300
_MAPPED = 1_000
_BATCH = 256


def main() -> None:
    """Measure, print, and write JSON where it is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each thing is measured (default 5)")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    console = Console()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(Server(folder / "server.db"))
        echo = stack.enter_context(_echo_server())
        assert echo.stdout is not None
        bare = f"127.0.0.1:{echo.stdout.readline().strip()}"
        figures = measure(_measurements(server.address, bare, folder), arguments.rounds, console)
        echo.kill()
    console.print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {arguments.rounds} rounds")
    report(figures, console)
    if arguments.json:
        write(figures, arguments.json)


def _measurements(address: str, bare: str, folder: Path) -> list[Measurement]:
    sqlite = SqliteFile()
    in_process = {"CLEARWAY_HOME": str(folder / "home")}
    over_grpc = in_process | {"CLEARWAY_ADDRESS": address}
    many = f"bare stream, {_BATCH} a message"
    one = "bare stream, one round trip"
    rows = f"bare SQLite, {_BATCH} a commit"
    commit = "bare SQLite, one a commit"
    return [
        Measurement(one, "ms", lambda: asyncio.run(echo_round_trip(bare, _TIMES))),
        Measurement(
            many, "items/s", lambda: asyncio.run(echo_rate(bare, _PROPOSALS, _BATCH)), more_is_better=True
        ),
        Measurement(commit, "ms", lambda: sqlite.commit(_TIMES, 1) / _TIMES * 1e3),
        Measurement(
            rows,
            "transitions/s",
            lambda: _PROPOSALS / sqlite.commit(_PROPOSALS, _BATCH),
            more_is_better=True,
        ),
        Measurement(
            "one proposal on the stream", "ms", lambda: asyncio.run(proposal_latency(address, _TIMES)), one
        ),
        Measurement(
            "transitions on the stream",
            "transitions/s",
            lambda: asyncio.run(transitions_rate(address, _PROPOSALS // 2)),
            rows,
            more_is_better=True,
        ),
        Measurement(
            "sequential task, embedded", "ms/task", _flow("sequential", _SEQUENTIAL, in_process), commit
        ),
        Measurement("sequential task, server", "ms/task", _flow("sequential", _SEQUENTIAL, over_grpc), one),
        Measurement(
            "mapped tasks, embedded",
            "tasks/s",
            _flow("mapped", _MAPPED, in_process),
            rows,
            more_is_better=True,
        ),
        Measurement(
            "mapped tasks, server", "tasks/s", _flow("mapped", _MAPPED, over_grpc), rows, more_is_better=True
        ),
    ]


def _echo_server() -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", "benchmarks.bare"], stdout=subprocess.PIPE, text=True)


def _flow(kind: str, tasks: int, environment: dict[str, str]) -> Callable[[], float]:
    """Return what runs a flow in a process of its own and returns its figure."""

    def run() -> float:
        command = [sys.executable, "-m", "benchmarks.flows", kind, str(tasks)]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CLEARWAY_")}
        done = subprocess.run(
            command, env=inherited | environment, check=True, stdout=subprocess.PIPE, text=True
        )
        return float(done.stdout.split()[-1])

    return run


if __name__ == "__main__":
    main()
