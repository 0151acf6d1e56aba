"""Lines to the service: a stream that reconnects to a server, or an engine in this process."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import grpc

from clearway.v1.proposal_pb2 import Decision, Hello, Proposal, ProposeResponse
from clearway_service.service import Service
from clearway_service.settings import ServiceSettings
from faults.storm.records import Record
from support.client import Client, EndedError, Stream

_PAUSE_SECONDS = 0.05
_PING_SECONDS = 0.5
_BACKOFF = [("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 300)]
# How a stream may end during a storm: the connection broke, the server drains, or the lease expired.
_EXPECTED = frozenset(
    {"ERROR_REASON_SHUTTING_DOWN", "ERROR_REASON_SESSION_EXPIRED", "ERROR_REASON_STORE_UNAVAILABLE"}
)
_BROKEN = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.OK})


class Line(Protocol):
    """The connection of a striver to the service."""

    def propose(self, proposals: Sequence[Proposal]) -> None:
        """Send proposals; they are lost if the line is broken."""

    def hear(self, seconds: float) -> Decision | None:
        """Return the next decision, or None after ``seconds`` without one."""

    def reconnected(self) -> bool | None:
        """Return None if the line was not reopened since the last call, else whether it kept its session."""

    def close(self) -> None:
        """End the session."""


class StreamLine:
    """A stream to a server.

    Args:
        address: The address of the server or a proxy.
        name: The client's name.
        record: Where unexpected ends are written.
    """

    def __init__(self, address: str, name: str, record: Record) -> None:
        self._client = Client(address, _BACKOFF)
        self._name, self._record = name, record
        self._session = ""
        self._news: bool | None = None
        self._stream = self._connect()
        self._news = None
        threading.Thread(target=self._ping, daemon=True).start()

    def propose(self, proposals: Sequence[Proposal]) -> None:
        """Send proposals; they are lost if the line is broken."""
        self._stream.propose(*proposals)

    def hear(self, seconds: float) -> Decision | None:
        """Return the next decision, or None after ``seconds`` without one."""
        try:
            decision = self._stream.inbox.get(timeout=seconds)
        except queue.Empty:
            return None
        if decision is None:
            self._note(self._stream.end())
            self._stream = self._connect()
        return decision

    def reconnected(self) -> bool | None:
        """Return None if the line was not reopened since the last call, else whether it kept its session."""
        news, self._news = self._news, None
        return news

    def close(self) -> None:
        """End the session."""
        self._stream.say_goodbye()

    def _connect(self) -> Stream:
        while True:
            try:
                stream = self._client.open(self._name, self._session)
            except EndedError as error:
                self._note(error.end)
                time.sleep(_PAUSE_SECONDS)
            else:
                self._news = stream.session_id == self._session
                self._session = stream.session_id
                self._record.write(session=self._session)
                return stream

    def _note(self, end: object) -> None:
        reason, code = getattr(end, "reason", ""), getattr(end, "code", None)
        if reason == "ERROR_REASON_SESSION_EXPIRED":
            self._session = ""
        message = getattr(end, "message", "")
        if reason not in _EXPECTED and code not in _BROKEN and "Stream removed" not in message:
            self._record.write(unexpected=f"the stream ended with {code} {reason}: {message}")

    def _ping(self) -> None:
        while True:
            time.sleep(_PING_SECONDS)
            self._stream.send_ping()


class EmbeddedLine:
    """An engine in this process, on a file that is shared with others.

    Args:
        database: The SQLite file.
        name: The client's name.
    """

    def __init__(self, database: Path, name: str) -> None:
        self._inbox: queue.SimpleQueue[Decision] = queue.SimpleQueue()
        self._replaced = threading.Event()
        self._service = Service(ServiceSettings(database=database))
        hello = Hello(client_name=name, language="python", version="0")
        self._connection = self._service.connector.connect(
            hello, self._deliver, on_replaced=self._replaced.set
        )

    def _deliver(self, response: ProposeResponse) -> None:
        for decision in response.decisions:
            self._inbox.put(decision)

    def propose(self, proposals: Sequence[Proposal]) -> None:
        """Submit proposals."""
        self._connection.propose(proposals)

    def hear(self, seconds: float) -> Decision | None:
        """Return the next decision, or None after ``seconds`` without one."""
        try:
            return self._inbox.get(timeout=seconds)
        except queue.Empty:
            return None

    def reconnected(self) -> bool | None:
        """Return None: an engine that replaces its session sends proposals again by itself."""
        return None

    def close(self) -> None:
        """End the session and the engine."""
        self._connection.close()
        self._service.close()
