"""A worker process of a ``ProcessPoolTaskRunner``, which executes one task call after the other.

It receives calls on a connection. For each it sends ``BEGUN``, then the log lines, then a ``REPLY``. It ends
when the other end closes the connection; at once, if it is executing a call.
"""

from __future__ import annotations

import logging
import os
import pickle
import queue
import signal
import sys
import threading
from multiprocessing.connection import Connection

from clearway._execution.workers.protocol import BEGUN, LOG, REPLY, START
from clearway._results.known_storages import register_place

_ATOMIC_BYTES = 16_000  # what a connection writes in one system call
_CUT_CHARACTERS = 2_000


def main(connection: Connection) -> None:
    """Execute the calls that arrive on the connection, until it is closed."""
    # Ctrl-C reaches every process on the terminal; the flow's process decides what it means.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # see ``WorkerProcess``
    started = connection.recv_bytes()[len(START) :]
    levels, places = pickle.loads(started)  # noqa: S301 - from the process that started this one
    for place in places:  # states among the arguments may refer to results in these storages
        register_place(place)
    sending = threading.Lock()
    _forward_logs(connection, sending, levels)
    calls: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    busy = threading.Event()
    threading.Thread(target=_read, args=(connection, calls, busy), daemon=True).start()
    from clearway._execution.workers.run_call import run_call  # noqa: PLC0415 - loads what runs code

    while (call := calls.get()) is not None:
        with sending:
            connection.send_bytes(BEGUN)
        reply = run_call(call)
        _flush()
        busy.clear()
        with sending:
            connection.send_bytes(REPLY + reply)
        del call, reply


def _read(connection: Connection, calls: queue.SimpleQueue[bytes | None], busy: threading.Event) -> None:
    while True:
        try:
            call = connection.recv_bytes()
        except (EOFError, OSError):
            break
        busy.set()
        calls.put(call)
    if busy.is_set():
        os._exit(1)
    calls.put(None)


def _flush() -> None:
    """Flush what was printed, so that it is visible before the run ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):  # closed, or replaced by something else
            continue


def _forward_logs(connection: Connection, sending: threading.Lock, levels: dict[str, int]) -> None:
    from clearway.logging import hand_on_to  # noqa: PLC0415 - after the modules are found

    hand_on_to(_Forwarder(connection, sending))
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


class _Forwarder(logging.Handler):
    """Sends log records to the flow's process, where handlers and levels apply."""

    def __init__(self, connection: Connection, sending: threading.Lock) -> None:
        super().__init__()
        self._connection = connection
        self._sending = sending
        self._process = os.getpid()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            body = pickle.dumps(self._portable(record))
            if os.getpid() != self._process and len(body) > _ATOMIC_BYTES:
                body = pickle.dumps(self._portable(_cut(record)))
            with self._sending:
                self._connection.send_bytes(LOG + body)
        except Exception:  # noqa: BLE001 - logging must not stop the program, as in all handlers
            self.handleError(record)

    def _portable(self, record: logging.LogRecord) -> dict[str, object]:
        fields = dict(record.__dict__)
        fields["msg"] = record.getMessage()
        fields["args"] = None
        if record.exc_info:
            fields["exc_text"] = logging.Formatter().formatException(record.exc_info)
            fields["exc_info"] = None
        return {name: value if _is_plain(value) else repr(value) for name, value in fields.items()}


def _cut(record: logging.LogRecord) -> logging.LogRecord:
    """Shorten a record so that a forked process's write cannot be interleaved with this process's."""
    text = logging.Formatter().format(record)[:_CUT_CHARACTERS]
    cut = f"{text} ... (a process that was forked from a worker process can log no more in one line)"
    return logging.makeLogRecord(
        {**vars(record), "msg": cut, "args": None, "exc_info": None, "exc_text": None}
    )


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, (str, int, float, bool))
