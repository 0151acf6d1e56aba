"""The Go client against the same server: the server's throughput with a faster client than Python's."""

from __future__ import annotations

import shutil
import sys
from functools import cache
from pathlib import Path

from benchmarks.measuring import Measurement
from benchmarks.processes import output

_MODULE = Path(__file__).parents[1] / "examples" / "go"
_NAME = "transitions on the stream, Go client"


def go_client(address: str, tasks: int, folder: Path, bare: str) -> list[Measurement]:
    """Return the measurement of ``examples/go/cmd/bench``; without Go, print a line and return none.

    Args:
        address: The address of a server.
        tasks: The number of task runs to start and complete.
        folder: Where the program is built on first use.
        bare: The name of the limit that it is compared to.
    """
    if (go := shutil.which("go")) is None:
        print(f"left out: {_NAME}; Go is not installed", file=sys.stderr)
        return []
    program = folder / "bench"

    @cache
    def build() -> None:
        output([go, "-C", str(_MODULE), "build", "-o", str(program), "./cmd/bench"], {})

    def rate() -> float:
        build()
        return float(output([str(program), "--address", address, "--tasks", str(tasks)], {}))

    return [Measurement(_NAME, "transitions/s", rate, bare, more_is_better=True)]
