"""Records: JSON lines that a process writes before it acts, and that survive its kill."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any


class Record:
    """Appends lines to a file that several processes may share.

    Args:
        path: The file, created if it does not exist.
        client: The client's name, included in each line with the process id and the monotonic time.
    """

    def __init__(self, path: Path, client: str) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._client = client

    def write(self, *, durable: bool = True, **what: Any) -> None:
        """Append one line in one write; if ``durable``, wait until it is on disk."""
        line = {"client": self._client, "pid": os.getpid(), "at": time.monotonic()} | what
        os.write(self._descriptor, (json.dumps(line) + "\n").encode())
        if durable:
            os.fsync(self._descriptor)


def read_record(path: Path) -> list[dict[str, Any]]:
    """Return all lines of a record, in order; none if nothing was written yet.

    Raises:
        ValueError: A line is damaged.
    """
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
