"""A TCP proxy before a server, which can cut, half-close, slow down, stall and refuse its connections."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import weakref
from types import TracebackType
from typing import Self

_CHUNK = 65_536


class Proxy:
    """Listens on a port of its own and forwards to a server.

    Args:
        target: The server's ``host:port``.

    Attributes:
        address: The proxy's own ``host:port``, kept while it is away.
        connections: How many connections were made through it so far.
        away: Whether it refuses connections.
        lag_seconds: How long each piece of data is kept before it is passed on. From 0, the default.
    """

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._to_server: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._flowing = threading.Event()
        self._flowing.set()
        self.connections = 0
        self.away = False
        self.lag_seconds = 0.0
        self._listener = self._listen(0)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"

    def cut(self) -> None:
        """Reset all connections; new ones may be made at once."""
        with self._lock:
            doomed, self._open = self._open, set()
        for connection in doomed:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def half_close(self, *, to_server: bool) -> None:
        """Close one direction of all connections: their receivers see the end, and may still send."""
        with self._lock:
            ends = [end for end in self._open if (end in self._to_server) is to_server]
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_WR)

    def go_away(self) -> None:
        """Reset all connections and refuse new ones."""
        self.away = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def come_back(self) -> None:
        """Listen again on the same port."""
        self.away = False
        self._listener = self._listen(int(self.address.rpartition(":")[2]))

    def hold(self) -> None:
        """Let nothing through any more, in either direction, without closing anything."""
        self._flowing.clear()

    def let_go(self) -> None:
        """Let everything through again."""
        self._flowing.set()

    def _listen(self, port: int) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return listener

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()
                continue
            self.connections += 1
            with self._lock:
                self._open |= {client, server}
                self._to_server.add(server)
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._forward, args=(source, sink), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(_CHUNK):
                self._flowing.wait()
                if self.lag_seconds:
                    time.sleep(self.lag_seconds)
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
            with self._lock:
                self._open.discard(end)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.let_go()
        self.go_away()
