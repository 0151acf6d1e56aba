"""Log lines of forked processes, on their way to the process that they were forked from.

A forked process has neither its parent's connection to the service nor the threads that would send its lines.
So each line goes to the parent through a socket, from which a thread there reads it. A line is in the
socket's buffer when the call that logs it returns, however the forked process ends after that.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
from collections.abc import Callable
from typing import Final

from google.protobuf.message import DecodeError

from clearway._logging.buffer import LOGGER
from clearway.v1.log_pb2 import Log

_log = logging.getLogger(LOGGER)

_BUFFER_BYTES: Final = 1_048_576
_MAX_BYTES: Final = 512 * 1024  # of one line, which has 65,536 characters at most
_SEND_SECONDS: Final = 5.0


class LogRelay:
    """Takes the lines of the processes that are forked from this one.

    Args:
        take: Called with each line, in order.

    Raises:
        OSError: There can be no socket, as when this process has too many files open.
    """

    def __init__(self, take: Callable[[Log], None]) -> None:
        self._take = take
        self._guard = threading.Lock()
        self._reading, self._writing = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._reading.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        self._writing.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
        self._writing.settimeout(_SEND_SECONDS)
        threading.Thread(target=self._run, name="clearway-log-relay", daemon=True).start()

    def drain(self) -> None:
        """Take all lines that have come."""
        with self._guard:
            while True:
                try:
                    body = self._reading.recv(_MAX_BYTES, socket.MSG_DONTWAIT)
                except OSError:  # nothing has come
                    return
                try:
                    line = Log.FromString(body)
                except DecodeError:
                    continue
                self._take(line)

    def _run(self) -> None:
        come = select.poll()
        come.register(self._reading, select.POLLIN)
        while True:
            come.poll()
            self.drain()

    def in_child(self) -> RelayedLogs:
        """Return what sends the lines of the forked process in which this is called."""
        self._reading.close()
        return RelayedLogs(self._writing)


class RelayedLogs:
    """Sends the lines of a forked process to the one that it was forked from.

    Args:
        connection: The end of the relay's socket that is written to; None if there is no relay.
    """

    def __init__(self, connection: socket.socket | None) -> None:
        self._connection = connection
        self._has_warned = False

    def send(self, line: Log) -> None:
        """Send a line. One that cannot be sent is refused, with a warning for the first."""
        try:
            if self._connection is None:
                raise OSError("there is no way to it")  # noqa: TRY301 - as if it could not be reached
            self._connection.send(line.SerializeToString())
        except OSError as error:
            if not self._has_warned:
                self._has_warned = True
                _log.warning(
                    "log lines of the forked process %d are shown, but no longer sent to the service: the "
                    "process that it was forked from takes none: %s",
                    os.getpid(),
                    error,
                )
