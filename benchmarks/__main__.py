"""Run the benchmarks: ``make bench``, or ``python -m benchmarks --rounds 5 --only "map over"``."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from benchmarks.bare import SqliteFile, echo_rate, echo_round_trip
from benchmarks.cache import cache
from benchmarks.figures import Measurement, chosen, measure, report, write
from benchmarks.processes import flow, wall
from benchmarks.queues import queue_handoff
from benchmarks.slots import handoff, short_tasks, utilisation
from benchmarks.stream import proposal_latency, transitions_rate
from benchmarks.users import large_maps, waiting
from support.server import Server

_PROPOSALS = 20_480
_TIMES = 500
_TASKS = 300
_MAPPED = 1_000
_BATCH = 256

ROUND_TRIP = "bare stream, one round trip"
ECHO = f"bare stream, {_BATCH} a message"
COMMIT = "bare SQLite, one a commit"
ROWS = f"bare SQLite, {_BATCH} a commit"
PYTHON = "bare Python"


def main() -> None:
    """Measure, print, and write JSON where it is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each thing is measured (default 5)")
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="only what has NAME in its name; may be repeated"
    )
    parser.add_argument(
        "--small", action="store_true", help="a hundredth of the large sizes, to see that all of it works"
    )
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    console = Console()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(Server(folder / "server.db"))
        echo = stack.enter_context(_echo_server())
        stack.callback(echo.kill)
        assert echo.stdout is not None
        bare = f"127.0.0.1:{echo.stdout.readline().strip()}"
        measurements = _measurements(server.address, bare, folder, 100 if arguments.small else 1)
        if arguments.only:
            measurements = chosen(measurements, arguments.only)
        if not measurements:
            parser.error(f"nothing is named so: {', '.join(arguments.only)}")
        figures = measure(measurements, arguments.rounds, console)
    console.print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {arguments.rounds} rounds")
    report(figures, console)
    if arguments.json:
        write(figures, arguments.json)


def _measurements(address: str, bare: str, folder: Path, part: int) -> list[Measurement]:
    embedded = {"CLEARWAY_HOME": str(folder / "home")}
    server = embedded | {"CLEARWAY_ADDRESS": address}
    return [
        *_limits(bare),
        *_stream(address),
        *_flows(embedded, server),
        *large_maps(embedded, server, part),
        *_slots(embedded, server),
        *waiting(embedded, server, part),
        *cache(embedded, server, COMMIT, ROUND_TRIP),
    ]


def _limits(bare: str) -> list[Measurement]:
    sqlite = SqliteFile()
    return [
        Measurement(ROUND_TRIP, "ms", lambda: asyncio.run(echo_round_trip(bare, _TIMES))),
        Measurement(
            ECHO, "items/s", lambda: asyncio.run(echo_rate(bare, _PROPOSALS, _BATCH)), more_is_better=True
        ),
        Measurement(COMMIT, "ms", lambda: sqlite.commit(_TIMES, 1) / _TIMES * 1e3),
        Measurement(
            ROWS,
            "transitions/s",
            lambda: _PROPOSALS / sqlite.commit(_PROPOSALS, _BATCH),
            more_is_better=True,
        ),
        Measurement(PYTHON, "s", wall([sys.executable, "-c", "pass"], {})),
    ]


def _stream(address: str) -> list[Measurement]:
    return [
        Measurement(
            "one proposal on the stream",
            "ms",
            lambda: asyncio.run(proposal_latency(address, _TIMES)),
            ROUND_TRIP,
        ),
        Measurement(
            "transitions on the stream",
            "transitions/s",
            lambda: asyncio.run(transitions_rate(address, _PROPOSALS // 2)),
            ROWS,
            more_is_better=True,
        ),
    ]


def _flows(embedded: dict[str, str], server: dict[str, str]) -> list[Measurement]:
    script = [sys.executable, "-m", "benchmarks.flows", "sequential", "1"]
    return [
        Measurement("sequential task, embedded", "ms/task", flow("sequential", _TASKS, embedded), COMMIT),
        Measurement("sequential task, server", "ms/task", flow("sequential", _TASKS, server), ROUND_TRIP),
        Measurement(
            "sequential async task, embedded", "ms/task", flow("sequential_async", _TASKS, embedded), COMMIT
        ),
        Measurement(
            "sequential async task, server", "ms/task", flow("sequential_async", _TASKS, server), ROUND_TRIP
        ),
        Measurement(
            "mapped tasks, embedded", "tasks/s", flow("mapped", _MAPPED, embedded), ROWS, more_is_better=True
        ),
        Measurement(
            "mapped tasks, server", "tasks/s", flow("mapped", _MAPPED, server), ROWS, more_is_better=True
        ),
        Measurement("import clearway", "s", wall([sys.executable, "-c", "import clearway"], {}), PYTHON),
        Measurement("script of one flow, embedded", "s", wall(script, embedded), PYTHON),
        Measurement("script of one flow, server", "s", wall(script, server), PYTHON),
    ]


def _slots(embedded: dict[str, str], server: dict[str, str]) -> list[Measurement]:
    places = (
        ("one process, embedded", embedded, 1),
        ("two processes, embedded", embedded, 2),
        ("two processes, server", server, 2),
    )
    handoffs = [
        Measurement(f"slot hand-off p{percent}, {name}", "ms", handoff(environment, processes, percent))
        for name, environment, processes in places
        for percent in (50, 99)
    ]
    return [
        *handoffs,
        Measurement(
            "busy share of 10 slots, embedded", "%", lambda: utilisation(embedded), more_is_better=True
        ),
        Measurement("busy share of 10 slots, server", "%", lambda: utilisation(server), more_is_better=True),
        Measurement("10 ms tasks, 10 under a limit of 2, server", "ms", lambda: short_tasks(server)),
        Measurement("hand-off with 10 waiting", "ms", lambda: queue_handoff(10)),
        Measurement("hand-off with 10,000 waiting", "ms", lambda: queue_handoff(10_000)),
    ]


def _echo_server() -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", "benchmarks.bare"], stdout=subprocess.PIPE, text=True)


if __name__ == "__main__":
    main()
