"""CPU starvation: how long processes waited for a CPU, which a busy machine adds to measured times."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_STEAL = 8  # the field of /proc/stat, in ticks


def seconds_without_processor(*pids: int) -> float:
    """Return the total time that the threads of processes have been runnable but not running.

    It includes time that the hypervisor stole from the machine. It is 0 if the system cannot report it.
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
