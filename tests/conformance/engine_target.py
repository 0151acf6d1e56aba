"""The service in this process as a target, with a movable clock."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import Coroutine
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
from google.protobuf.message import Message

from clearway.v1.proposal_pb2 import Decision, ProposeRequest, ProposeResponse, Welcome
from clearway_service.api.parsing import parse_awaits
from clearway_service.api.session_connection import Connection
from clearway_service.api.status import status_of
from clearway_service.errors import ClearwayError, SessionExpiredError
from clearway_service.service import Service
from clearway_service.settings import ServiceSettings
from conformance.movable_clock import MovableClock
from conformance.target import CallError
from support.client import Failure, failure_of_status
from support.waiting import DEADLINE_SECONDS


class EngineTarget:
    """A service on its own database. As a context manager, it is closed at the end.

    Args:
        database: Its SQLite file.
    """

    offers = frozenset({"clock"})
    clock_stands = True

    def __init__(self, database: Path) -> None:
        self._clock = MovableClock(time.time_ns() // 1000)
        self._service = Service(ServiceSettings(database=database), self._clock)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def call(self, method: str, request: Message) -> Future[Any]:
        """Start a unary call."""

        async def make() -> Any:
            try:
                return await getattr(self._service.orchestrator, method)(request)
            except ClearwayError as error:
                raise CallError(failure_of_status(status_of(error))) from error

        return self._run(make())

    def open(self, first: ProposeRequest) -> EngineStream:
        """Open a stream, emulated by a connection."""
        return EngineStream(self._service, first)

    def advance(self, seconds: float) -> None:
        """Move the clock, and do everything due by then."""
        self._clock.advance(seconds)
        self._service.clock_moved()

    def restart(self) -> None:
        """Raise NotImplementedError: the only process is our own."""
        raise NotImplementedError("a service in this process cannot be killed")

    def _run(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        """Close the service."""
        self._service.close()
        self._run(self._service.close_reader()).result(DEADLINE_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class EngineStream:
    """A stream emulated on the service itself.

    Args:
        service: The service.
        first: The first message.
    """

    def __init__(self, service: Service, first: ProposeRequest) -> None:
        self._changed = threading.Condition()
        self._decisions: dict[str, list[Decision]] = defaultdict(list)
        self._taken: dict[str, int] = defaultdict(int)
        self._end: Failure | None = None
        self._connection: Connection | None = None
        try:
            self._connection = service.connector.connect(first.hello, self._deliver, on_expiry=self._expired)
        except ClearwayError as error:
            self._finish(failure_of_status(status_of(error)))
            return
        first.ClearField("hello")
        self.send(first)

    def _deliver(self, response: ProposeResponse) -> None:
        with self._changed:
            for decision in response.decisions:
                self._decisions[decision.proposal_id].append(decision)
            self._changed.notify_all()

    def _expired(self, connection: Connection) -> None:
        error = SessionExpiredError(f"session {connection.session_id} has ended; open a new one")
        self._finish(failure_of_status(status_of(error)))

    def _finish(self, end: Failure) -> None:
        with self._changed:
            self._end = self._end or end
            self._changed.notify_all()

    @property
    def _open(self) -> Connection:
        if self._connection is None:
            raise CallError(self.end())
        return self._connection

    def welcome(self) -> Welcome:
        """Return the service's first message."""
        return self._open.welcome

    def send(self, message: ProposeRequest) -> None:
        """Process a message, in the same order as a stream does."""
        connection = self._open
        if message.withdrawals:
            connection.withdraw(message.withdrawals)
        if message.awaits:
            connection.note_awaits(parse_awaits(message.awaits))
        if message.proposals:
            connection.propose(message.proposals)
        if message.goodbye:
            connection.settled().result(DEADLINE_SECONDS)
            connection.close()
            self._finish(_WELL)

    def decision(self, proposal_id: str) -> Decision:
        """Return the next decision on a proposal."""
        taken = self._taken[proposal_id]
        with self._changed:
            came = self._changed.wait_for(
                lambda: len(self._decisions[proposal_id]) > taken or self._end is not None, DEADLINE_SECONDS
            )
        if len(self._decisions[proposal_id]) <= taken:
            assert came, f"decision {taken + 1} about {proposal_id} did not come"
            raise CallError(self.end())
        self._taken[proposal_id] += 1
        return self._decisions[proposal_id][taken]

    def pong(self, number: int) -> None:
        """Raise NotImplementedError: a connection within the process has no pongs."""
        raise NotImplementedError(f"pong {number}: a connection within the process has none")

    def unread(self) -> list[Decision]:
        """Return the decisions received so far that no step has awaited."""
        with self._changed:
            return [each for id_, all_ in self._decisions.items() for each in all_[self._taken[id_] :]]

    def half_close(self) -> None:
        """Leave the queues and stop renewing the session, as after a client closes its side."""
        if self._end is None:
            self._open.settled().result(DEADLINE_SECONDS)
            self._open.leave_queue().result(DEADLINE_SECONDS)
            self._open.lose()
            self._finish(_WELL)

    def kill(self) -> None:
        """Disconnect without a goodbye."""
        self._open.lose()
        self._finish(Failure(grpc.StatusCode.CANCELLED, "", (), "the client has gone"))

    def end(self) -> Failure:
        """Wait for the end of the stream, and return how it ended."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._end is not None, DEADLINE_SECONDS)
        assert self._end is not None
        return self._end


_WELL = Failure(grpc.StatusCode.OK, "", (), "")
