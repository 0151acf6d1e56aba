"""Sends log lines to the service in the background, many at a time."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from clearway._io_thread import get_io_thread
from clearway._transport import before_disconnect, connect
from clearway.exceptions import ClearwayError, ServerUnavailable
from clearway.v1.log_pb2 import Log, WriteLogsRequest

_log = logging.getLogger("clearway.logs")

_DELAY: Final = 0.25
_DELAY_WHILE_AWAY: Final = 5.0
_MAX_LINES: Final = 1_000
_MAX_BYTES: Final = 2 * 1024 * 1024
_MAX_KEPT: Final = 50_000
_MAX_MESSAGE: Final = 65_536
_MAX_LOGGER: Final = 255
_MAX_LEVEL: Final = 100
_LAST_TIMEOUT: Final = 5.0


class LogShipper:
    """Keeps lines until the service has them: at most 50,000; more are dropped, with a warning."""

    def __init__(self) -> None:
        self._io = get_io_thread()
        self._lines: deque[Log] = deque()
        self._scheduled = False
        self._dropped = 0
        self._sending = asyncio.Lock()
        before_disconnect(self._last_flush)

    def add(self, record: logging.LogRecord, message: str) -> None:
        """Take up a line of a run. Any thread."""
        if len(self._lines) >= _MAX_KEPT:
            if not self._dropped:
                _log.warning("log lines come faster than the service takes them; some are dropped")
            self._dropped += 1
            return
        micros = int(record.created * 1e6)
        self._lines.append(
            Log(
                flow_run_id=getattr(record, "flow_run_id", ""),
                task_run_id=getattr(record, "task_run_id", ""),
                logger=record.name[:_MAX_LOGGER],
                level=min(max(record.levelno, 0), _MAX_LEVEL),
                message=message[:_MAX_MESSAGE],
                timestamp=Timestamp(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1_000),
            )
        )
        if not self._scheduled:
            self._scheduled = True
            self._io.call_later(_DELAY, self._begin)

    def flush(self) -> Future[None]:
        """Send all lines taken up so far; see ``clearway.logging.flush_logs``."""
        return self._io.submit(self._send_all())

    def _last_flush(self) -> None:
        try:
            self.flush().result(_LAST_TIMEOUT)
        except FutureTimeoutError:
            _log.warning("%d log lines could not be sent before the connection was closed", len(self._lines))

    def _begin(self) -> None:
        self._scheduled = False  # before the lines are looked at: see `add`
        self._io.submit(self._send_all())

    async def _send_all(self) -> None:
        """Send what is there, one message after the other; where the service is away, come back later."""
        async with self._sending:
            while self._lines:
                batch = self._next_batch()
                try:
                    await asyncio.wrap_future(connect().call("WriteLogs", WriteLogsRequest(logs=batch)))
                except ServerUnavailable:
                    self._lines.extendleft(reversed(batch))
                    self._scheduled = True
                    self._io.call_later(_DELAY_WHILE_AWAY, self._begin)
                    return
                except ClearwayError as error:
                    _log.warning("%d log lines were not kept by the service: %s", len(batch), error)
            if self._dropped:
                _log.warning("%d log lines were dropped", self._dropped)
                self._dropped = 0

    def _next_batch(self) -> list[Log]:
        batch: list[Log] = []
        size = 0
        while self._lines and len(batch) < _MAX_LINES and size < _MAX_BYTES:
            line = self._lines.popleft()
            batch.append(line)
            size += line.ByteSize()
        return batch
