"""HTTP/2 pings, by which clients and load balancers look whether a connection lives."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator

import pytest

from support.server import Server
from support.waiting import DEADLINE_SECONDS

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS, PING, GOAWAY = 4, 6, 7
ACK = 1
# What the server allows; many times less often, as each 10 s, is allowed the more.
LEAST_INTERVAL = 1.05


class Connection:
    """A bare HTTP/2 connection, on which there is never a call."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=DEADLINE_SECONDS)
        self._received = b""
        self._socket.sendall(PREFACE)
        self.send(SETTINGS)

    def send(self, kind: int, flags: int = 0, payload: bytes = b"") -> None:
        """Send a frame about the connection as a whole."""
        self._socket.sendall(struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + bytes(4) + payload)

    def frames(self, until: float) -> Iterator[tuple[int, int, bytes]]:
        """Yield what comes until that time of the monotonic clock, or until the server hangs up."""
        while True:
            while len(self._received) >= 9:
                length = int.from_bytes(self._received[:3])
                if len(self._received) < 9 + length:
                    break
                frame, self._received = self._received[: 9 + length], self._received[9 + length :]
                yield frame[3], frame[4], frame[9:]
            left = until - time.monotonic()
            if left <= 0:
                return
            self._socket.settimeout(left)
            try:
                more = self._socket.recv(65536)
            except TimeoutError:
                return
            if not more:
                return
            self._received += more

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


@pytest.fixture
def connection(shared_server: Server) -> Iterator[Connection]:
    opened = Connection(shared_server.address)
    yield opened
    opened.close()


def test_a_client_without_calls_may_ping_at_the_least_interval(connection: Connection) -> None:
    # One ping too soon is forgiven, and so is a second; four show that none of them counted as such.
    for number in range(1, 5):
        connection.send(PING, payload=struct.pack(">Q", number))
        found = list(connection.frames(time.monotonic() + LEAST_INTERVAL))
        assert GOAWAY not in [kind for kind, _, _ in found]
        assert (PING, ACK, struct.pack(">Q", number)) in found


def test_a_client_that_floods_the_server_with_pings_is_sent_away(connection: Connection) -> None:
    for number in range(1, 5):
        connection.send(PING, payload=struct.pack(">Q", number))
    frames = connection.frames(time.monotonic() + DEADLINE_SECONDS)
    goodbye = next(payload for kind, _, payload in frames if kind == GOAWAY)
    assert goodbye.endswith(b"too_many_pings")
