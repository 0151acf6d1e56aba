"""``python -m conformance``: play the scenarios against a server, and report each result."""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
import time
from pathlib import Path

from conformance.grpc_target import ServerTarget, StartedTarget
from conformance.playing import NotConformingError, play
from conformance.reading import NEEDS, read_all
from conformance.steps import Scenario


def main() -> int:
    """Play the scenarios; return 1 if the server does not conform."""
    parser = argparse.ArgumentParser(prog="python -m conformance", description=__doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--address", help="host:port of a server that runs; its clock is not moved")
    which.add_argument(
        "--server", help="a command that starts a server whose clock can be moved (default: Clearway's own)"
    )
    parser.add_argument("--only", default="", help="play the scenarios with this in their name or file")
    given = parser.parse_args()
    chosen = [each for each in read_all() if given.only in each.name or given.only in each.file]
    if given.address:
        with ServerTarget(given.address) as target:
            return run(chosen, target)
    with tempfile.TemporaryDirectory() as folder:
        own = [sys.executable, "-m", "conformance.movable_server", "--database", str(Path(folder) / "db")]
        with StartedTarget(given.server or shlex.join(own)) as target:
            return run(chosen, target)


def run(scenarios: list[Scenario], target: ServerTarget) -> int:
    """Play scenarios, and print a line about each; return 1 if one fails."""
    began, failed, left_out = time.monotonic(), 0, 0
    for scenario in scenarios:
        if absent := scenario.needs - target.offers:
            left_out += 1
            missing = " and ".join(NEEDS[need] for need in sorted(absent))
            print(f"left out  {scenario.name}: it needs that {missing}")
            continue
        try:
            play(scenario, target)
        except NotConformingError as error:
            failed += 1
            print(f"FAILED    {error}")
        else:
            print(f"passed    {scenario.name}")
    passed = len(scenarios) - failed - left_out
    took = time.monotonic() - began
    print(f"{passed} passed, {failed} failed, {left_out} left out, in {took:.1f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
