"""The catalogue: all measurements of ``make bench``, in display order."""

from __future__ import annotations

import asyncio
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.backups import backups
from benchmarks.bare import SqliteFile, echo_rate, echo_round_trip, echo_unary, sleeps
from benchmarks.cache import cache
from benchmarks.fairness import fairness
from benchmarks.golang import go_client
from benchmarks.growth import growth, memory
from benchmarks.load import loads
from benchmarks.measuring import Measurement
from benchmarks.processes import flow, wall
from benchmarks.queues import queue_handoff
from benchmarks.scripts import imported, scripts
from benchmarks.slots import handoff, short_tasks, utilisation
from benchmarks.stream import proposal_latency, transitions_rate, unary_latency
from benchmarks.users import large_maps, waiting

_PROPOSALS = 20_480
_TIMES = 500
_TASKS = 300
_BATCH = 256
_GROWN = 100_000

ROUND_TRIP = "bare stream, one round trip"
UNARY = "bare unary call"
ECHO = f"bare stream, {_BATCH} a message"
COMMIT = "bare SQLite, one a commit"
ROWS = f"bare SQLite, {_BATCH} a commit"
PYTHON = "bare Python"
SLEEPS = "bare threads, 10 sleeps of 10 ms, 2 at a time"


def measurements(address: str, bare: str, folder: Path, part: int, stack: ExitStack) -> list[Measurement]:
    """Return all measurements.

    Args:
        address: The address of a server.
        bare: The address of the echo server of ``benchmarks.bare``.
        folder: The folder for the embedded engine's files.
        part: The divisor of the large sizes: 1 for full size, 100 for a hundredth.
        stack: Cleans up.
    """
    embedded = {"CLEARWAY_HOME": str(folder / "home")}
    server = embedded | {"CLEARWAY_ADDRESS": address}
    return [
        *_limits(bare),
        *_proposals(address),
        *go_client(address, _PROPOSALS // 2, folder, ROWS),
        *_sequential(embedded, server),
        *large_maps(embedded, server, part, ROWS),
        *cache(embedded, server, COMMIT, ROUND_TRIP),
        *_slots(embedded, server),
        *waiting(embedded, server, part),
        imported(PYTHON),
        *scripts(embedded, server, folder, PYTHON),
        *loads(part, ROWS),
        *fairness(part, ROWS),
        *growth(folder, _GROWN // part, stack),
        *backups(folder, _GROWN // part, stack),
        *memory(embedded, server, part),
    ]


def _limits(bare: str) -> list[Measurement]:
    sqlite = SqliteFile()
    return [
        Measurement(ROUND_TRIP, "ms", lambda: asyncio.run(echo_round_trip(bare, _TIMES))),
        Measurement(UNARY, "ms", lambda: asyncio.run(echo_unary(bare, _TIMES))),
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
        Measurement(SLEEPS, "ms", partial(sleeps, 10, 0.01, 2)),
    ]


def _proposals(address: str) -> list[Measurement]:
    return [
        Measurement(
            "one proposal on the stream",
            "ms",
            lambda: asyncio.run(proposal_latency(address, _TIMES)),
            ROUND_TRIP,
        ),
        Measurement("one proposal, unary", "ms", lambda: asyncio.run(unary_latency(address, _TIMES)), UNARY),
        Measurement(
            "transitions on the stream",
            "transitions/s",
            lambda: asyncio.run(transitions_rate(address, _PROPOSALS // 2)),
            ROWS,
            more_is_better=True,
        ),
    ]


def _sequential(embedded: dict[str, str], server: dict[str, str]) -> list[Measurement]:
    """Return the measurements of sequential tasks, and of the cost of surviving a power loss."""
    full = embedded | {"CLEARWAY_SYNCHRONOUS": "full"}
    name = "sequential task, embedded, synchronous=full"
    return [
        *(
            Measurement(f"{task}, {place}", "ms/task", flow(kind, _TASKS, environment), bare)
            for task, kind in (
                ("sequential task", "sequential"),
                ("sequential async task", "sequential_async"),
            )
            for place, environment, bare in (("embedded", embedded, COMMIT), ("server", server, ROUND_TRIP))
        ),
        Measurement(name, "ms/task", flow("sequential", _TASKS, full), "sequential task, embedded"),
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
    both = (("embedded", embedded), ("server", server))
    return [
        *(
            Measurement(
                f"10 tasks of 10 ms, limit 2, {place}", "ms", partial(short_tasks, environment), SLEEPS
            )
            for place, environment in both
        ),
        *handoffs,
        *(
            Measurement(
                f"busy share of 10 slots, {place}",
                "%",
                partial(utilisation, environment),
                more_is_better=True,
            )
            for place, environment in both
        ),
        Measurement("hand-off with 10 waiting", "ms", lambda: queue_handoff(10)),
        Measurement("hand-off with 10,000 waiting", "ms", lambda: queue_handoff(10_000)),
    ]
