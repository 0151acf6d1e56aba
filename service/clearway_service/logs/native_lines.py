"""Native lines: converts what C libraries write to standard error, mostly gRPC's core, to JSON lines.

They write to the file descriptor, bypassing Python's logging. So the descriptor is a pipe to a separate
process, which runs this file and writes each line as a JSON object. A thread would not do: it dies with the
process, and the last lines before a crash matter most.
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
    """Convert everything that C libraries of this process write to standard error from now on to JSON.

    Python's own ``sys.stderr`` keeps writing directly.
    """
    global _relay  # noqa: PLW0603 - one per process, kept so that it is not collected while it runs
    direct = os.dup(2)
    sys.stderr = os.fdopen(direct, "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    _relay = subprocess.Popen(  # noqa: S603 - our own interpreter and file
        [sys.executable, "-I", "-S", __file__],
        stdin=subprocess.PIPE,
        stdout=direct,
        stderr=direct,
        start_new_session=True,  # Ctrl-C is for the server, which logs its shutdown
    )
    assert _relay.stdin is not None
    os.dup2(_relay.stdin.fileno(), 2)
    _relay.stdin.close()


def as_json(line: bytes, now: datetime) -> str:
    """Return a line as a JSON object, with the level from an absl prefix, or else info."""
    text = line.decode("utf-8", "backslashreplace").rstrip("\r\n")
    absl = len(text) > 1 and text[0] in _LEVELS and text[1].isdigit()
    level = _LEVELS[text[0]] if absl else "info"
    return json.dumps({"event": text, "level": level, "logger": "native", "timestamp": now.isoformat()})


def main() -> None:
    """Write each line of standard input as JSON until it ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    while line := sys.stdin.buffer.readline(_MOST_BYTES):
        if line.strip():
            os.write(1, f"{as_json(line, datetime.now(UTC))}\n".encode())


if __name__ == "__main__":
    main()
