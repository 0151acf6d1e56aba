"""What people do who push: very large maps, long queues, short tasks under a limit, and ``kill -9``."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable

from benchmarks.figures import Measurement
from benchmarks.flows import SHORT
from benchmarks.processes import flow, variables, wall
from benchmarks.recovery import recovery
from benchmarks.waiters import bytes_per_waiter

_SIZES = (1_000, 10_000, 100_000)
_WAITERS = 10_000


def large_maps(embedded: dict[str, str], server: dict[str, str], part: int) -> list[Measurement]:
    """Return tasks per second of maps of growing sizes, and the memory of what waits in one.

    Args:
        embedded: The environment for the embedded engine.
        server: The environment for a server.
        part: Which part of the sizes is taken: 1 for all, 100 for a hundredth.
    """
    places = (("embedded", embedded), ("server", server))
    kinds = (("sync", "mapped"), ("async", "mapped_async"))
    maps = [
        Measurement(
            f"map over {size // part:,}, {kind}, {place}",
            "tasks/s",
            flow(name, size // part, environment),
            more_is_better=True,
            once=size == max(_SIZES),
        )
        for kind, name in kinds
        for place, environment in places
        for size in _SIZES
    ]
    pending = [
        Measurement(
            f"pending run of a map, {place}", "bytes", flow("pending", max(_SIZES) // part, environment)
        )
        for place, environment in places
    ]
    return [*maps, *pending]


def waiting(embedded: dict[str, str], server: dict[str, str], part: int) -> list[Measurement]:
    """Return what waiting for a slot costs; the arguments are those of ``large_maps``."""
    waiters = _WAITERS // part
    return [
        Measurement(
            f"server's memory for each of {waiters:,} waiters",
            "bytes",
            lambda: asyncio.run(bytes_per_waiter(waiters)),
            once=True,
        ),
        Measurement(
            "10 ms tasks, 10 under a limit of 2, from the shell, embedded", "ms", from_shell(embedded)
        ),
        Measurement("10 ms tasks, 10 under a limit of 2, from the shell, server", "ms", from_shell(server)),
        Measurement("recovery from kill -9 of a holder, embedded", "ms", lambda: recovery(embedded)),
        Measurement("recovery from kill -9 of a holder, server", "ms", lambda: recovery(server), once=True),
    ]


def from_shell(environment: dict[str, str]) -> Callable[[], float]:
    """Return what measures ten tasks of 10 ms under a limit of 2, in ms, less a program of an empty flow."""
    command = [sys.executable, "-m", "benchmarks.flows"]

    def run() -> float:
        limit = f"from benchmarks.slots import set_limit; set_limit({SHORT!r}, 2)"
        subprocess.run([sys.executable, "-c", limit], env=variables(environment), check=True)
        whole = wall([*command, "short", "10"], environment)()
        return (whole - wall([*command, "empty", "0"], environment)()) * 1e3

    return run
