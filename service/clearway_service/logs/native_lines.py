"""Lines that C libraries write to standard error, gRPC's core above all, as JSON like all others.

They go to the file descriptor, past Python's logging. So they go into a pipe, at whose other end a process of
its own, this file, writes each as a JSON object. A thread of this process would be less: it dies with it, and
what the process said last is what one wants to read after a crash.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime

_LEVELS = {"D": "debug", "I": "info", "W": "warning", "E": "error", "F": "critical"}
_MOST_BYTES = 8_192

_relay: subprocess.Popen[bytes] | None = None


def relay() -> None:
    """Have what C libraries of this process write to standard error from now on written as JSON.

    Python's own ``sys.stderr`` stays as direct as it was.
    """
    global _relay  # noqa: PLW0603 - one per process, kept so that it is not collected while it runs
    direct = os.dup(2)
    sys.stderr = os.fdopen(direct, "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    _relay = subprocess.Popen(  # noqa: S603 - our own interpreter and file
        [sys.executable, "-I", "-S", __file__],
        stdin=subprocess.PIPE,
        stdout=direct,
        stderr=direct,
        start_new_session=True,  # Ctrl-C is for the server, which has something to say after it
    )
    assert _relay.stdin is not None
    os.dup2(_relay.stdin.fileno(), 2)
    _relay.stdin.close()


def as_json(line: bytes, now: datetime) -> str:
    """Return a line as a JSON object; its level is what absl's lines begin with, or else info."""
    text = line.decode("utf-8", "backslashreplace").rstrip("\r\n")
    absl = len(text) > 1 and text[0] in _LEVELS and text[1].isdigit()
    level = _LEVELS[text[0]] if absl else "info"
    return json.dumps({"event": text, "level": level, "logger": "native", "timestamp": now.isoformat()})


def main() -> None:
    """Write the lines of standard input as JSON until it ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    while line := sys.stdin.buffer.readline(_MOST_BYTES):
        if line.strip():
            os.write(1, f"{as_json(line, datetime.now(UTC))}\n".encode())


if __name__ == "__main__":
    main()
