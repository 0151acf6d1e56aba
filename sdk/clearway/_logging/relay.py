"""Relaying the log lines of forked processes to the process that they were forked from.

A forked process has neither its parent's connection to the service nor the threads that would send its lines.
So it writes each line to a socket that a thread in the parent reads. When the call that logs a line returns,
the line is in the socket's buffer, and is kept however the forked process ends.
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
    """Receives the log lines of processes forked from this one.

    Args:
        take: Called with each line, in order.

    Raises:
        OSError: A socket could not be created, for example because too many files are open.
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
        """Receive all lines that have arrived."""
        with self._guard:
            while True:
                try:
                    body = self._reading.recv(_MAX_BYTES, socket.MSG_DONTWAIT)
                except OSError:  # nothing has arrived
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
        """Return the sender for the forked process in which this is called."""
        self._reading.close()
        return RelayedLogs(self._writing)


class RelayedLogs:
    """Sends the log lines of a forked process to its parent.

    Args:
        connection: The socket to write to; None if the parent has no relay.
    """

    def __init__(self, connection: socket.socket | None) -> None:
        self._connection = connection
        self._has_warned = False

    def send(self, line: Log) -> None:
        """Send a line. If that fails, drop it; the first failure logs a warning."""
        try:
            if self._connection is None:
                raise OSError("there is no connection to it")  # noqa: TRY301 - as if it could not be reached
            self._connection.send(line.SerializeToString())
        except OSError as error:
            if not self._has_warned:
                self._has_warned = True
                _log.warning(
                    "log lines of the forked process %d are shown, but no longer sent to the service: the "
                    "process that it was forked from does not accept them: %s",
                    os.getpid(),
                    error,
                )
