"""Processes: naming this one, and seeing that another one of this machine has died."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path

import psutil


@cache
def _host() -> str:
    """Return what two processes share only if they see each other: the boot and the process namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        boot, namespace = f"{psutil.boot_time():.0f}", socket.gethostname()
    return f"{boot}/{namespace}"


def this_process() -> str:
    """Return a name of this process that no other ever has: host, number, and when it began."""
    return f"{_host()}/{os.getpid()}/{psutil.Process().create_time():.2f}"


def is_dead(name: str) -> bool:
    """Return whether the process of a name from ``this_process`` has provably died.

    One of another machine, or of another process namespace, is never provably dead.
    """
    host, number, started = name.rsplit("/", 2)
    if host != _host():
        return False
    try:
        process = psutil.Process(int(number))
        return f"{process.create_time():.2f}" != started or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False
