"""Sending log lines to the service in the background, in batches."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from typing import Final

from clearway._base.backoff import Backoff
from clearway._base.io_thread import get_io_thread
from clearway._logging.buffer import LOGGER, LogBuffer
from clearway._logging.relay import LogRelay
from clearway._transport.current import before_disconnect, current_transport
from clearway._transport.protocol import Transport
from clearway.exceptions import ClearwayError, ClientClosed, ServerUnavailable
from clearway.v1.log_pb2 import Log, WriteLogsRequest

_log = logging.getLogger(LOGGER)

_DELAY: Final = 0.25
_AWAY: Final = Backoff(first=0.5, longest=5.0)
_MAX_LINES: Final = 1_000
_MAX_BYTES: Final = 2 * 1024 * 1024
_FLUSH_SECONDS: Final = 5.0
_LAST_SECONDS: Final = 10.0
_PATIENT_SECONDS: Final = 1.0


class LogShipper:
    """Keeps log lines until the service has accepted them.

    Args:
        buffer: The buffer to use; by default, a new one.

    Attributes:
        relay: Receives the lines of forked processes; None before the first fork.
    """

    def __init__(self, buffer: LogBuffer | None = None) -> None:
        self._io = get_io_thread()
        self._buffer = LogBuffer() if buffer is None else buffer
        self.relay: LogRelay | None = None
        self._scheduled = False
        self._under_way = 0
        self._connection = 0
        self._failures = 0  # failed attempts to reach the service in a row
        self._sending = asyncio.Lock()
        before_disconnect(self._last_flush)

    def add(self, line: Log) -> None:
        """Add a line. Any thread may call this."""
        if self._buffer.add(line):
            _log.warning("log lines come faster than the service takes them; some are dropped")
        if not self._scheduled:
            self._scheduled = True
            self._io.call_later(_DELAY, self._begin)

    def open_relay(self) -> LogRelay:
        """Return the relay for forked processes; creates it before the first fork.

        Raises:
            OSError: A socket could not be created.
        """
        if self.relay is None:
            self.relay = LogRelay(self.add)
        return self.relay

    def flush(self) -> Future[None]:
        """Send all lines added so far; see ``clearway.logging.flush_logs``."""
        self._drain_relay()
        return self._io.submit(self._flush(_FLUSH_SECONDS))

    async def _flush(self, seconds: float) -> None:
        # A timeout does not cancel a request that was sent: it may have reached the service.
        await asyncio.wait([asyncio.ensure_future(self._send_all())], timeout=seconds)

    def _drain_relay(self) -> None:
        if self.relay is not None:
            self.relay.drain()

    def _last_flush(self) -> None:
        self._drain_relay()
        flush = self._io.submit(self._flush(_LAST_SECONDS))
        try:
            flush.result(_PATIENT_SECONDS)
        except FutureTimeoutError:
            _log.warning(
                "waiting up to %.0f s for the service to take %d log lines; Ctrl-C gives them up",
                _LAST_SECONDS,
                len(self._buffer) + self._under_way,
            )
            with suppress(FutureTimeoutError):
                flush.result(_LAST_SECONDS)
        finally:
            self._connection += 1
            unsent = self._under_way + self._buffer.clear()
            if unsent:
                _log.warning("%d log lines could not be sent before the connection was closed", unsent)

    def _begin(self) -> None:
        self._scheduled = False  # before the lines are read: see `add`
        self._io.submit(self._send_all())

    async def _send_all(self) -> None:
        """Send all lines, batch by batch; retries with a backoff while the service is unreachable."""
        async with self._sending:
            # Lines added after the connection was closed wait for the next one: they must not open it.
            while (transport := current_transport()) is not None:
                connection = self._connection
                batch = self._buffer.take(_MAX_LINES, _MAX_BYTES)
                if not batch:
                    return
                self._under_way = len(batch)
                rest = await _send(transport, batch)
                self._under_way = 0
                self._failures = self._failures + 1 if rest else 0
                if rest:
                    if connection == self._connection:  # otherwise they were given up
                        self._buffer.put_back(rest)
                    await asyncio.sleep(_AWAY.delay(self._failures))


async def _send(transport: Transport, batch: list[Log]) -> list[Log]:
    """Send a batch; return the lines to send again later because the service is unreachable."""
    try:
        await asyncio.wrap_future(transport.call("WriteLogs", WriteLogsRequest(logs=batch)))
    except (ServerUnavailable, ClientClosed):
        return batch
    except ClearwayError as error:
        if len(batch) == 1:
            _log.warning("a log line was not kept by the service: %s", error)
            return []
        half = len(batch) // 2  # one wrong line must not cost the others
        rest = await _send(transport, batch[:half])
        return rest + batch[half:] if rest else await _send(transport, batch[half:])
    return []
