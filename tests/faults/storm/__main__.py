"""``python -m faults.storm``: kill, stop and cut processes for a while, then check what is left.

Real server and client processes run in a new folder, which is deleted unless a violation was found or
``--keep`` is given. The exit code is 0 without violations, 1 with any, 2 for invalid arguments. A seed
reproduces which deeds hit which processes; their exact timing depends on the machine.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from faults.storm.run import KINDS, run_storm


def main() -> int:
    """Run a storm; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m faults.storm",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="the duration in seconds (default 60)")
    parser.add_argument("--seed", type=int, help="the random seed (default: a new one, which is printed)")
    parser.add_argument(
        "--only", choices=KINDS, help="with a server, or embedded (default: both, side by side)"
    )
    parser.add_argument("--folder", type=Path, help="where to create its folder (default: the system's)")
    parser.add_argument("--keep", action="store_true", help="keep databases and records in any case")
    given = parser.parse_args()
    seed = secrets.randbelow(10**6) if given.seed is None else given.seed
    signal.signal(signal.SIGTERM, _interrupt)
    folder = Path(tempfile.mkdtemp(prefix="clearway-storm-", dir=given.folder))
    print(f"a storm of {given.seconds:g} s with seed {seed}, in {folder}", flush=True)
    keep = True
    try:
        outcome = run_storm(folder, given.seconds, seed, (given.only,) if given.only else KINDS)
        print(outcome.summary())
        keep = given.keep or bool(outcome.violations)
    except KeyboardInterrupt:
        print("interrupted; all processes were killed")
        keep = given.keep
        return 1
    finally:
        if keep:
            print(f"what it left is in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if outcome.violations else 0


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
