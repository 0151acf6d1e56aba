"""``python -m conformance.movable_server``: a real server whose clock stands still until it is moved.

It is controlled by lines on standard input and replies on standard output. When it listens, it writes
``listening host:port``. On ``advance SECONDS`` it moves its clock, does everything due by then, and writes
``advanced SECONDS``. The clock starts at ``CONFORMANCE_NOW``, in seconds since 1970. The server stops at the
end of its standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path

from clearway_service.server import serving
from clearway_service.service import Service
from clearway_service.settings import ServiceSettings
from conformance.movable_clock import MovableClock


async def serve(settings: ServiceSettings, clock: MovableClock) -> None:
    """Serve until the end of standard input."""
    service = await asyncio.to_thread(Service, settings, clock)
    try:
        async with serving(service) as port:
            sys.stdout.write(f"listening {settings.host}:{port}\n")
            sys.stdout.flush()
            while line := await asyncio.to_thread(sys.stdin.readline):
                _, seconds = line.split()
                clock.advance(float(seconds))
                await asyncio.to_thread(service.clock_moved)
                sys.stdout.write(f"advanced {seconds}\n")
                sys.stdout.flush()
    finally:
        await asyncio.to_thread(service.close)
        await service.close_reader()


def main() -> None:
    """Serve with the arguments of the command line."""
    parser = argparse.ArgumentParser(prog="python -m conformance.movable_server", description=__doc__)
    parser.add_argument("--database", type=Path, required=True, help="the SQLite file")
    parser.add_argument("--port", type=int, default=0, help="the port; 0 (the default) picks a free one")
    given = parser.parse_args()
    settings = replace(ServiceSettings(extend_leases=True), database=given.database, port=given.port)
    clock = MovableClock(round(float(os.environ["CONFORMANCE_NOW"]) * 1e6))
    asyncio.run(serve(settings, clock))


if __name__ == "__main__":
    main()
