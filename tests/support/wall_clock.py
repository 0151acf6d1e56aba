"""A wall clock that tests can set: ``python -m support.wall_clock FILE MODULE ARGUMENTS``.

Runs a module in this process with a wall clock that is ahead of the real one by the number of seconds in the
file. The file may change at any time. The machine's own clock and the monotonic clock are not affected.
"""

from __future__ import annotations

import os
import runpy
import sys
import time
from pathlib import Path

_time, _time_ns = time.time, time.time_ns


class WallClock:
    """Sets the wall clock of processes started with ``module``.

    Args:
        file: The file that they read.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(0)

    def set(self, ahead: float) -> None:
        """Set it ahead of the real clock by ``ahead`` seconds; negative sets it behind."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(str(ahead))
        fresh.replace(self._file)

    def module(self, *module: str) -> tuple[str, ...]:
        """Return the arguments to run instead of ``module``, a module with its arguments."""
        return ("support.wall_clock", os.fspath(self._file), *module)


def main() -> None:
    """Run the module named on the command line."""
    file, module = Path(sys.argv[1]), sys.argv[2]

    def ahead() -> float:
        return float(file.read_text())

    time.time = lambda: _time() + ahead()
    time.time_ns = lambda: _time_ns() + round(ahead() * 1e9)
    del sys.argv[:2]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
