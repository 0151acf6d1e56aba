"""Load: many concurrent clients, each with many proposals in flight.

python -m benchmarks.load   200 streams with 50 proposals in flight each, for 60 s
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import psutil

from benchmarks.figures import number
from benchmarks.load_client import Tally, seconds_of
from benchmarks.measuring import Measurement
from benchmarks.processes import variables
from support.server import Server

_STREAMS, _IN_FLIGHT, _SECONDS = 200, 50, 60.0
_SMALL_SECONDS = 5.0
_PROCESSES = 2
_MIB = 1024 * 1024


@dataclass(frozen=True)
class Loaded:
    """The results of a run under load.

    Attributes:
        tally: The outcomes of the proposals.
        memory: The server's memory, in bytes, before the first client, after a third of the time, at the end.
        logged: The server's log lines at level warning or above.
    """

    tally: Tally
    memory: tuple[int, int, int]
    logged: list[str]

    @property
    def rate(self) -> float:
        """Decisions per second."""
        return self.tally.decided / self.tally.seconds

    def percentile(self, percent: float) -> float:
        """Return a percentile of the decision latencies, in milliseconds, accurate to 2 %."""
        rest = self.tally.decided * percent / 100
        for bucket, count in sorted(self.tally.buckets.items()):
            rest -= count
            if rest <= 0:
                return seconds_of(bucket + 1) * 1e3
        raise ValueError("nothing was decided")

    @property
    def errors(self) -> int:
        """The number of errors, on both sides."""
        return self.tally.errors.total() + len(self.logged)

    @property
    def growth(self) -> float:
        """The server's memory growth, in bytes, per decision of the last two thirds."""
        return (self.memory[2] - self.memory[1]) / (self.tally.decided * 2 / 3)


def load(streams: int, in_flight: int, seconds: float) -> Loaded:
    """Load a new server, and return the results."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        server = stack.enter_context(Server(Path(folder) / "server.db"))
        process = psutil.Process(server.pid)
        memory = [process.memory_info().rss]
        shares = [streams // _PROCESSES + (number_ < streams % _PROCESSES) for number_ in range(_PROCESSES)]
        command = [sys.executable, "-m", "benchmarks.load_client", server.address]
        clients = [
            subprocess.Popen(
                [*command, str(share), str(in_flight), str(seconds)],
                env=variables({}),
                stdout=subprocess.PIPE,
                text=True,
            )
            for share in shares
        ]
        for client in clients:
            stack.callback(client.kill)
        for part in (1 / 3, 2 / 3):
            time.sleep(seconds * part)
            memory.append(process.memory_info().rss)
        outputs = [client.communicate()[0] for client in clients]
        assert not any(client.returncode for client in clients), "a client failed"
        logged = [line for line in server.log if '"level": "info"' not in line.lower()]
    return Loaded(_sum(outputs), (memory[0], memory[1], memory[2]), logged)


def _sum(outputs: list[str]) -> Tally:
    total = Tally()
    for output in outputs:
        each = json.loads(output)
        total.decided += each["decided"]
        total.seconds = max(total.seconds, each["seconds"])
        total.errors += Counter(each["errors"])
        total.buckets += Counter({int(bucket): count for bucket, count in each["buckets"].items()})
    return total


class _Once:
    """One run under load, made when its first figure is requested."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    @cached_property
    def loaded(self) -> Loaded:
        loaded = load(_STREAMS, _IN_FLIGHT, self._seconds)
        assert not loaded.errors, f"{loaded.tally.errors}, {loaded.logged[:5]}"
        return loaded


def loads(part: int, rows: str) -> list[Measurement]:
    """Return the measurements under load, which fail on any error.

    Args:
        part: The divisor of the sizes: 1 for full size, 100 for a hundredth.
        rows: The name of the limit of decisions per second.
    """
    once = _Once(_SECONDS if part == 1 else _SMALL_SECONDS)
    name = f"{_STREAMS} streams with {_IN_FLIGHT} in flight"
    return [
        Measurement(
            f"{name}, decisions",
            "transitions/s",
            lambda: once.loaded.rate,
            rows,
            more_is_better=True,
            once=True,
        ),
        Measurement(f"{name}, p50", "ms", lambda: once.loaded.percentile(50), once=True),
        Measurement(f"{name}, p99", "ms", lambda: once.loaded.percentile(99), once=True),
        Measurement(f"{name}, server's growth a decision", "bytes", lambda: once.loaded.growth, once=True),
    ]


def main() -> None:
    """Load a server and print the results; exit with 1 on any error."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description="Load a server.")
    parser.add_argument("--seconds", type=float, default=_SECONDS)
    parser.add_argument("--streams", type=int, default=_STREAMS)
    parser.add_argument("--in-flight", type=int, default=_IN_FLIGHT, help="proposals in flight per stream")
    arguments = parser.parse_args()
    loaded = load(arguments.streams, arguments.in_flight, arguments.seconds)
    print(f"{arguments.streams} streams, {arguments.in_flight} in flight each, {arguments.seconds:g} s")
    print(f"errors           {loaded.errors}")
    print(f"decisions        {loaded.tally.decided:,}, {number(loaded.rate)} a second")
    print(f"decision p50     {number(loaded.percentile(50))} ms")
    print(f"decision p99     {number(loaded.percentile(99))} ms")
    print(f"undecided        {arguments.streams * arguments.in_flight:,} at any time")
    start, third, end = (f"{each / _MIB:.0f}" for each in loaded.memory)
    print(f"server's memory  {start} MiB, after a third {third} MiB, at the end {end} MiB")
    print(f"                 {number(loaded.growth)} bytes a decision in the last two thirds")
    for error, count in loaded.tally.errors.most_common(5):
        print(f"{count:7} times: {error}")
    for line in loaded.logged[:5]:
        print(f"server: {line}")
    sys.exit(1 if loaded.errors else None)


if __name__ == "__main__":
    main()
