"""Processes: names this process and the machine's boot, and checks whether another process is alive."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

_ENDED = (b"Z", b"X")
_STOPPED = (b"T", b"t")
# A program started by ``exec`` in this process keeps its id and start time, but not this token.
_TOKEN = secrets.token_hex(8)


@cache
def boot() -> str:
    """Return a name for the machine's boot; processes with the same name share one monotonic clock."""
    try:
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot_id}/{_namespaces('time')}"  # a namespace since Linux 5.6
    except OSError:
        import psutil  # noqa: PLC0415 - Linux needs none

        return f"{psutil.boot_time():.0f}/{socket.gethostname()}"


@cache
def _host() -> str:
    """Return a name that two processes share only if they can see each other and each other's times.

    It is made of the boot, the PID namespace and the time namespace.
    """
    # The 3 is the version of the format: processes named by an earlier one look like those of another host.
    return f"3/{boot()}/{_namespaces('pid')}"


def _namespaces(*kinds: str) -> str:
    spaces = [Path("/proc/self/ns") / kind for kind in kinds]
    return ",".join(str(space.readlink()) for space in spaces if space.is_symlink())


def this_process() -> str:
    """Return a unique name for this process: its host, process id, start time and a random token."""
    number = os.getpid()
    return f"{_host()}/{number}/{_look(number).began}:{_TOKEN}"


def is_dead(name: str) -> bool:
    """Return True if the process with a name from ``this_process`` has provably died.

    A process on another machine, or in another PID namespace, is never provably dead.
    """
    host, number, began, token = _parts(name)
    if host != _host():
        return False
    return _is_replaced(number, token) or _look(number).began not in {began, None}


def is_alive(name: str) -> bool:
    """Return True if the process with a name from ``this_process`` is provably alive and not stopped.

    A process on another machine, or in another PID namespace, is never provably alive.
    """
    host, number, began, token = _parts(name)
    if host != _host() or _is_replaced(number, token):
        return False
    seen = _look(number)
    return seen.began == began and not seen.stopped


def _parts(name: str) -> tuple[str, int, str, str]:
    host, number, rest = name.rsplit("/", 2)
    began, _, token = rest.partition(":")
    return host, int(number), began, token


def _is_replaced(number: int, token: str) -> bool:
    """Return True if the process id is ours, but the token is not: ``exec`` replaced the program."""
    return number == os.getpid() and token != _TOKEN


class _Seen(NamedTuple):
    """What can be seen of a process.

    Attributes:
        began: Its start time; empty if there is no such process, None if it cannot be seen. On Linux in
            ticks since boot: a wall-clock time would change when the clock is set, and live processes would
            look dead.
        stopped: Whether it is stopped, as by SIGSTOP or a debugger.
    """

    began: str | None
    stopped: bool = False


def _look(number: int) -> _Seen:
    if sys.platform != "linux":
        return _ask(number)
    try:
        status = Path(f"/proc/{number}/stat").read_bytes()
    except OSError:
        return _Seen(None if _is_there(number) else "")
    # The fields after the program's name, which may contain any characters.
    state, *fields = status.rpartition(b")")[2].split()
    return _Seen("" if state in _ENDED else fields[18].decode(), state in _STOPPED)


def _is_there(number: int) -> bool:
    """Return True if the process exists, even if it belongs to a user whose processes are hidden."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _ask(number: int) -> _Seen:
    import psutil  # noqa: PLC0415 - Linux needs none

    try:
        process = psutil.Process(number)
        status = process.status()
        ended, stopped = status == psutil.STATUS_ZOMBIE, status == psutil.STATUS_STOPPED
        return _Seen("" if ended else f"{process.create_time():.2f}", stopped)
    except psutil.NoSuchProcess:
        return _Seen("")
    except psutil.AccessDenied:
        return _Seen(None)
