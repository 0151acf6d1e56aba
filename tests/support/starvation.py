"""For how long a machine kept processes from running: what a busy one adds to any time that is measured."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_STEAL = 8  # the field of /proc/stat, in ticks


def seconds_without_processor(*pids: int) -> float:
    """Return how long the threads of processes have been ready to run and did not, all together, so far.

    That includes what the hypervisor took from the whole machine. Where the system does not say, it is 0.
    """
    seconds = 0.0
    for pid in pids:
        for thread in Path("/proc", str(pid), "task").glob("*/schedstat"):
            with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                seconds += int(thread.read_text().split()[1]) / 1e9
    with suppress(FileNotFoundError):
        processors = Path("/proc/stat").read_text().partition("\n")[0].split()
        seconds += int(processors[_STEAL]) / os.sysconf("SC_CLK_TCK")
    return seconds
