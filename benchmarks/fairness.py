"""Fairness: the latency of a small client next to clients that propose at full speed.

python -m benchmarks.fairness   next to none, one and eight of them, for 10 s each
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import grpc.aio

from benchmarks.figures import number
from benchmarks.measuring import Measurement
from benchmarks.processes import variables
from benchmarks.stream import open_stream
from benchmarks.work import proposals
from clearway.v1 import proposal_pb2
from support.server import Server

_SECONDS = 10.0
_SMALL_SECONDS = 2.0
_FLOODERS = (0, 1, 8)
# The time until the flooders have as many proposals in flight as they may.
_WARM_UP_SECONDS = 2.0
_PAUSE_SECONDS = 0.01


@dataclass(frozen=True)
class Beside:
    """The results of a small client and of the flooders next to it.

    Attributes:
        taken: The small client's decision latencies in milliseconds, sorted.
        flooders: The flooders' decisions per second; 0 without flooders.
    """

    taken: list[float]
    flooders: float

    def percentile(self, percent: int) -> float:
        """Return a percentile of the decision latencies, in milliseconds."""
        return self.taken[min(len(self.taken) - 1, len(self.taken) * percent // 100)]


def beside(flooders: int, seconds: float) -> Beside:
    """Measure a client that sends one proposal at a time to a new server, next to flooders."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        server = stack.enter_context(Server(Path(folder) / "server.db"))
        if not flooders:
            return Beside(asyncio.run(_small(server.address, seconds)), 0.0)
        command = [sys.executable, "-m", "benchmarks.flood", server.address, str(flooders)]
        flood = subprocess.Popen(
            [*command, str(_WARM_UP_SECONDS + seconds)], env=variables({}), stdout=subprocess.PIPE, text=True
        )
        stack.callback(flood.kill)
        time.sleep(_WARM_UP_SECONDS)
        taken = asyncio.run(_small(server.address, seconds))
        output, _ = flood.communicate()
        assert not flood.returncode, "a flooder failed"
        return Beside(taken, float(output))


async def _small(address: str, seconds: float) -> list[float]:
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        call, flow = await open_stream(channel)
        taken = []
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            request = proposal_pb2.ProposeRequest(proposals=proposals(flow, 1))
            begun = time.perf_counter()
            await call.write(request)
            await call.read()
            taken.append((time.perf_counter() - begun) * 1e3)
            await asyncio.sleep(_PAUSE_SECONDS)
        return sorted(taken)


class _Once:
    """One measurement next to a number of flooders, taken when its first figure is requested."""

    def __init__(self, flooders: int, seconds: float) -> None:
        self._flooders = flooders
        self._seconds = seconds

    @cached_property
    def beside(self) -> Beside:
        return beside(self._flooders, self._seconds)


def fairness(part: int, rows: str) -> list[Measurement]:
    """Return the measurements of a small client next to flooders.

    Args:
        part: The divisor of the sizes: 1 for full size, 100 for a hundredth.
        rows: The name of the limit of decisions per second.
    """
    found = []
    for flooders in _FLOODERS:
        once = _Once(flooders, _SECONDS if part == 1 else _SMALL_SECONDS)
        name = f"one proposal beside {flooders} flooding clients"
        found += [
            Measurement(f"{name}, p{percent}", "ms", _percentile(once, percent), once=True)
            for percent in (50, 99)
        ]
        if flooders:
            found.append(
                Measurement(
                    f"{flooders} flooding clients, decisions",
                    "transitions/s",
                    _rate(once),
                    rows,
                    more_is_better=True,
                    once=True,
                )
            )
    return found


def _percentile(once: _Once, percent: int) -> Callable[[], float]:
    return lambda: once.beside.percentile(percent)


def _rate(once: _Once) -> Callable[[], float]:
    return lambda: once.beside.flooders


def main() -> None:
    """Measure and print."""
    for flooders in _FLOODERS:
        found = beside(flooders, _SECONDS)
        p50, p99 = (number(found.percentile(percent)) for percent in (50, 99))
        print(f"beside {flooders}: p50 {p50} ms, p99 {p99} ms; flooders {number(found.flooders)} decisions/s")


if __name__ == "__main__":
    main()
