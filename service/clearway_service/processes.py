"""Processes: naming this one, and seeing that another one of this machine has died."""

from __future__ import annotations

import os
import socket
import sys
from functools import cache
from pathlib import Path

_ENDED = (b"Z", b"X")


@cache
def _host() -> str:
    """Return what two processes share only if they see each other, and see the same times.

    That is the boot, and the namespaces of processes and of times since the boot.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        spaces = [Path("/proc/self/ns/pid"), Path("/proc/self/ns/time")]  # the latter since Linux 5.6
        namespace = ",".join(str(space.readlink()) for space in spaces if space.is_symlink())
    except OSError:
        import psutil  # noqa: PLC0415 - Linux needs none

        boot, namespace = f"{psutil.boot_time():.0f}", socket.gethostname()
    # Earlier versions told the beginning in another way: theirs are as if of another host.
    return f"2/{boot}/{namespace}"


def this_process() -> str:
    """Return a name of this process that no other ever has: host, number, and when it began."""
    number = os.getpid()
    return f"{_host()}/{number}/{_beginning(number)}"


def is_dead(name: str) -> bool:
    """Return whether the process of a name from ``this_process`` has provably died.

    One of another machine, or of another process namespace, is never provably dead.
    """
    host, number, began = name.rsplit("/", 2)
    return host == _host() and _beginning(int(number)) not in {began, None}


def _beginning(number: int) -> str | None:
    """Return when a living process began: empty where none lives, None where it cannot be seen.

    On Linux in ticks since the boot: the time of day would be another one once the clock was set, and the
    living be taken for dead.
    """
    if sys.platform != "linux":
        return _asked_beginning(number)
    try:
        status = Path(f"/proc/{number}/stat").read_bytes()
    except OSError:
        return None if _is_there(number) else ""
    # After the program's name, which may hold anything.
    state, *fields = status.rpartition(b")")[2].split()
    return "" if state in _ENDED else fields[18].decode()


def _is_there(number: int) -> bool:
    """Return whether there is a process, perhaps of a user whose processes are hidden."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _asked_beginning(number: int) -> str | None:
    import psutil  # noqa: PLC0415 - Linux needs none

    try:
        process = psutil.Process(number)
        return "" if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.NoSuchProcess:
        return ""
    except psutil.AccessDenied:
        return None
