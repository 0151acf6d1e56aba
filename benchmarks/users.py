"""Extreme use: very large maps, long queues and ``kill -9``."""

from __future__ import annotations

import asyncio

from benchmarks.measuring import Measurement
from benchmarks.processes import flow
from benchmarks.recovery import recovery
from benchmarks.waiters import bytes_per_waiter

_SIZES = (1_000, 10_000, 100_000)
_WAITERS = 10_000


def large_maps(embedded: dict[str, str], server: dict[str, str], part: int, bare: str) -> list[Measurement]:
    """Return the measurements of maps of growing sizes, and of the memory of their pending runs.

    Args:
        embedded: The environment for the embedded engine.
        server: The environment for a server.
        part: The divisor of the sizes: 1 for full size, 100 for a hundredth.
        bare: The name of the limit.
    """
    places = (("embedded", embedded), ("server", server))
    kinds = (("sync", "mapped"), ("async", "mapped_async"))
    maps = [
        Measurement(
            f"map over {size // part:,}, {kind}, {place}",
            "tasks/s",
            flow(name, size // part, environment),
            bare,
            more_is_better=True,
            once=size == max(_SIZES),
        )
        for kind, name in kinds
        for place, environment in places
        for size in _SIZES
    ]
    pending = [
        Measurement(
            f"pending run of a map, {place}",
            "bytes",
            flow("pending", max(_SIZES) // part, environment),
            once=True,
        )
        for place, environment in places
    ]
    return [*maps, *pending]


def waiting(embedded: dict[str, str], server: dict[str, str], part: int) -> list[Measurement]:
    """Return the measurements of waiting for a slot; the arguments are those of ``large_maps``."""
    waiters = _WAITERS // part
    return [
        Measurement(
            f"server's memory for each of {waiters:,} waiters",
            "bytes",
            lambda: asyncio.run(bytes_per_waiter(waiters)),
            once=True,
        ),
        Measurement("recovery from kill -9 of a holder, embedded", "ms", lambda: recovery(embedded)),
        Measurement("recovery from kill -9 of a holder, server", "ms", lambda: recovery(server), once=True),
    ]
