"""A bounded buffer of log lines for the service, with a note in place of the lines that it dropped."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from clearway.v1.log_pb2 import Log

MAX_LINES: Final = 50_000
MAX_BYTES: Final = 64 * 1024 * 1024
LOGGER: Final = "clearway.logs"
_WARNING: Final = 30
_MAX_MESSAGE: Final = 65_536
_MAX_LOGGER: Final = 255
_MAX_LEVEL: Final = 100


class LogBuffer:
    """Keeps log lines in order. Any thread may add; one takes.

    If lines are dropped, a line in their place says how many each flow run lost.

    Args:
        max_lines: How many lines are kept.
        max_bytes: Their total size at most, in bytes of serialized messages.
    """

    def __init__(self, max_lines: int = MAX_LINES, max_bytes: int = MAX_BYTES) -> None:
        self._max_lines = max_lines
        self._max_bytes = max_bytes
        self._guard = threading.Lock()
        self._lines: deque[tuple[Log, int]] = deque()
        self._bytes = 0
        self._dropped: dict[str, tuple[int, Timestamp]] = {}  # by flow run: how many, and since when

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, line: Log) -> bool:
        """Keep a line, or drop it if the buffer is full; return True for the first one dropped."""
        size = line.ByteSize()
        with self._guard:
            if len(self._lines) >= self._max_lines or self._bytes + size > self._max_bytes:
                first = not self._dropped
                count, since = self._dropped.get(line.flow_run_id, (0, line.create_time))
                self._dropped[line.flow_run_id] = (count + 1, since)
                return first
            if self._dropped:
                self._note_dropped()
            self._append(line, size)
            return False

    def take(self, max_lines: int, max_bytes: int) -> list[Log]:
        """Remove and return the first lines: ``max_lines`` at most, and hardly more than ``max_bytes``."""
        batch: list[Log] = []
        taken = 0
        with self._guard:
            if not self._lines and self._dropped:
                self._note_dropped()
            while self._lines and len(batch) < max_lines and taken < max_bytes:
                line, size = self._lines.popleft()
                batch.append(line)
                taken += size
            self._bytes -= taken
        return batch

    def put_back(self, batch: list[Log]) -> None:
        """Put lines back in front of all others."""
        with self._guard:
            for line in reversed(batch):
                size = line.ByteSize()
                self._lines.appendleft((line, size))
                self._bytes += size

    def clear(self) -> int:
        """Drop all lines; return how many were lost, including those dropped before."""
        with self._guard:
            lost = len(self._lines) + sum(count for count, _ in self._dropped.values())
            self._lines.clear()
            self._dropped.clear()
            self._bytes = 0
        return lost

    def _append(self, line: Log, size: int) -> None:
        self._lines.append((line, size))
        self._bytes += size

    def _note_dropped(self) -> None:
        for flow_run_id, (count, since) in self._dropped.items():
            note = Log(
                flow_run_id=flow_run_id,
                logger=LOGGER,
                level=_WARNING,
                message=f"{count:,} log lines of this flow run and its task runs are missing from here on: "
                f"they came faster than the service took them, and no more than {self._max_lines:,} lines "
                f"or {self._max_bytes // 1_048_576} MiB are kept until it does",
                create_time=since,
            )
            self._append(note, note.ByteSize())
        self._dropped.clear()


def line_of(record: logging.LogRecord, message: str) -> Log:
    """Convert a log record of a run to the protocol's message.

    Args:
        record: The record.
        message: Its formatted text, with the traceback.
    """
    return Log(
        flow_run_id=getattr(record, "flow_run_id", ""),
        task_run_id=getattr(record, "task_run_id", ""),
        logger=record.name[:_MAX_LOGGER],
        level=min(max(record.levelno, 0), _MAX_LEVEL),
        message=_sendable(message),
        create_time=timestamp(record.created),
    )


def _sendable(message: str) -> str:
    """Truncate a line to what the service accepts, and make it valid UTF-8."""
    return message[:_MAX_MESSAGE].encode("utf-8", "backslashreplace").decode("utf-8")[:_MAX_MESSAGE]


def timestamp(seconds: float | None = None) -> Timestamp:
    """Return a protobuf timestamp for seconds since 1970; by default, the current time."""
    micros = int((time.time() if seconds is None else seconds) * 1e6)
    return Timestamp(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1_000)
