"""One worker process, seen from the flow's process; ``worker_loop`` is the other end."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
from multiprocessing.connection import Connection, wait

from clearway._execution.workers.protocol import BEGUN, LOG, REPLY, START
from clearway._results.known_storages import registered_places
from clearway.exceptions import WorkerDied

_log = logging.getLogger("clearway.engine")

_END_SECONDS = 5.0
# What a new process runs before our modules can be imported.
_BOOT = (
    "import pickle, sys; from multiprocessing.connection import Connection; "
    "connection = Connection(int(sys.argv[1])); "
    "sys.path[:], sys.argv[:] = pickle.loads(connection.recv_bytes()); "
    "from clearway._execution.workers.worker_loop import main; main(connection)"
)


class NotBegun(WorkerDied):
    """The process died before it started the call."""


class WorkerProcess:
    """A process that runs the code of one task run after the other, from the moment that it is made.

    It is a new interpreter, rather than a fork of this one, which has threads and gRPC connections.
    """

    def __init__(self) -> None:
        if os.name != "posix":
            raise NotImplementedError(
                "a ProcessPoolTaskRunner needs a POSIX system, such as Linux or macOS, "
                f"and this is {os.name!r}; use a ThreadPoolTaskRunner"
            )
        ours, theirs = socket.socketpair()
        with ours, theirs:
            command = [sys.executable, "-P", "-c", _BOOT, str(theirs.fileno())]
            # A Ctrl-C that comes before ``main`` takes it would end the process with a traceback.
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                self._process = subprocess.Popen(  # noqa: S603 - this very interpreter, and our code
                    command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
                )
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            self._connection = Connection(ours.detach())
        self._death = os.pidfd_open(self._process.pid) if hasattr(os, "pidfd_open") else None
        self._send(pickle.dumps((sys.path, sys.argv)))
        self._send(START + pickle.dumps((_levels(), registered_places())))

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Return whether the process has not ended."""
        return self._process.poll() is None

    def ask(self, data: bytes, name: str) -> bytes:
        """Execute a call in the process, and return the reply.

        Args:
            data: The serialized call.
            name: The task run's name, for messages.

        Raises:
            WorkerDied: The process died first; ``NotBegun`` if it had not started the call.
        """
        begun = False
        self._send(data)
        while True:
            message = self._receive()
            if message is None:
                raise self._died(name, begun=begun)
            kind, body = message[:1], message[1:]
            if kind == BEGUN:
                begun = True
            elif kind == REPLY:
                return body
            elif kind == LOG:
                _handle(body)

    def _send(self, data: bytes) -> None:
        try:
            self._connection.send_bytes(data)
        except OSError as error:  # it has died; the next read reports how
            _log.debug("cannot send to the worker process %d: %s", self.pid, error)

    def _receive(self) -> bytes | None:
        """Return the next message; None once the process has ended.

        The process itself is watched too, since its orphaned children may keep its connection open.
        """
        try:
            if self._death is not None:
                wait([self._connection, self._death])
                if not self._connection.poll():
                    return None
            return self._connection.recv_bytes()
        except (EOFError, OSError):
            return None

    def _died(self, name: str, *, begun: bool) -> WorkerDied:
        self.close()
        code = self._process.returncode
        how = f"left with exit code {code}, as by os._exit()"
        if code < 0:
            killed_by = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
            how = f"was killed by {killed_by}"
            if killed_by == "SIGKILL":
                how += ", as the system does where memory runs out"
        when = "while it ran" if begun else "before it began"
        kind = WorkerDied if begun else NotBegun
        return kind(f"the worker process {self.pid} {how} {when} the task run {name!r}")

    def kill(self) -> None:
        """Kill the process. Any thread may do this."""
        if self._process.poll() is None:
            self._process.kill()

    def close(self) -> None:
        """Let the process end, and wait for it; kills it after a timeout."""
        self._connection.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._death is not None:
            os.close(self._death)
            self._death = None


def _levels() -> dict[str, int]:
    """Return the log levels of this process's loggers, for the worker to use."""
    loggers = {"": logging.getLogger(), **logging.Logger.manager.loggerDict}
    return {
        name: logger.level
        for name, logger in loggers.items()
        if isinstance(logger, logging.Logger) and logger.level
    }


def _handle(body: bytes) -> None:
    """Handle a worker's log line as if it had been logged here."""
    try:
        record = logging.makeLogRecord(pickle.loads(body))  # noqa: S301 - of our own process
        logger = logging.getLogger(record.name)
        if logger.isEnabledFor(record.levelno):
            logger.handle(record)
    except Exception:  # noqa: BLE001 - a user's handler raised, which must not fail the run
        _log.exception("a log line of a worker process was lost")
