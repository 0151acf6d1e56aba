"""The service's engine running in this process; the only module of the SDK that imports the service."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from clearway._base.io_thread import get_io_thread
from clearway._base.settings import get_settings
from clearway._settings.errors import SettingError
from clearway._transport.decision_future import DecisionFuture
from clearway._transport.errors import exception_for
from clearway._transport.lost_runs import runs_lost
from clearway._transport.pending import PendingProposal, PendingProposals
from clearway._transport.protocol import hello
from clearway.exceptions import ClientClosed, InvalidSetting, ServerUnavailable, ServiceError
from clearway_service.api.session_connection import Connection
from clearway_service.errors import ClearwayError as EngineError
from clearway_service.service import Service
from clearway_service.settings import ServiceSettings
from clearway_service.store.database import Database

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from clearway.v1.proposal_pb2 import Decision, Proposal, ProposeResponse

_log = logging.getLogger("clearway.transport")

_PATIENCE: Final = 60.0
_CLOSE_TIMEOUT: Final = 5.0


class EmbeddedTransport:
    """Sends proposals to the engine on the caller's thread; decisions arrive on the engine's thread."""

    def __init__(self, database: Path, clock: Callable[[], int] | None = None) -> None:
        """Open the engine on a SQLite file, which is created if it does not exist.

        Args:
            database: The file.
            clock: Returns the time in microseconds since 1970, also for leases and delays; None for the
                machine's clocks. For tests.

        Raises:
            ServerUnavailable: The file cannot be opened.
            InvalidSetting: A setting of the service has a value that is not allowed.
        """
        self._pending = PendingProposals(_PATIENCE, self._send_later)
        self._closed = False
        self._lock = threading.Lock()
        try:
            self._service = Service(_settings(database), clock)
        except EngineError as error:
            raise ServerUnavailable(error.message) from None
        except OSError as error:
            raise ServerUnavailable(f"the database {database} cannot be opened: {error}") from None
        self._session: Connection | None = None

    def propose(
        self, proposal: Proposal, on_wait: Callable[[Decision], None] | None = None
    ) -> DecisionFuture:
        """See ``Transport.propose``."""
        entry = self._pending.add(proposal, on_wait)
        self._send(entry)
        return entry.future

    def withdraw(self, proposal_id: str) -> None:
        """See ``Transport.withdraw``."""
        if self._pending.withdraw(proposal_id) and not self._closed:
            self._connection().withdraw([proposal_id])

    def note_await(self, task_run_id: str, awaited_task_run_id: str) -> None:
        """See ``Transport.note_await``."""
        if not self._closed:
            self._connection().note_awaits([(task_run_id, awaited_task_run_id)])

    def call(self, method: str, request: Message, timeout: float | None = None) -> Future[Message]:
        """See ``Transport.call``."""
        return get_io_thread().submit(self._call(method, request, timeout))

    def clock_moved(self) -> None:
        """Do what has become due after the clock was moved; expired leases end before this returns."""
        if not self._closed:
            self._service.clock_moved()

    def close(self) -> None:
        """See ``Transport.close``."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            session = self._session
        if session is not None:
            try:
                session.settled().result(_CLOSE_TIMEOUT)
            except TimeoutError:
                _log.warning("some proposals had no decision yet when the connection was closed")
            try:
                session.close()
            except EngineError as error:
                _log.debug("the session could not be closed, so it lasts until its lease expires: %s", error)
        closing = get_io_thread().submit(self._service.close_reader())
        if not get_io_thread().is_current():
            closing.result(_CLOSE_TIMEOUT)
        self._service.close()
        self._pending.fail_all(_closed)

    def _send(self, entry: PendingProposal) -> None:
        if self._closed:
            self._pending.fail(entry, _closed())
        else:
            try:
                self._connection().propose([entry.proposal])
            except EngineError as error:
                self._pending.fail(entry, _exception_from(error))

    def _connection(self) -> Connection:
        """Return the engine connection; opens it with the first proposal."""
        if self._session is None:
            with self._lock:
                if self._session is None:
                    self._session = self._service.connector.connect(
                        hello(), self._settle, on_replaced=self._lost
                    )
        return self._session

    def _settle(self, response: ProposeResponse) -> None:
        # The engine itself replaces a session that expired, as after the machine was suspended.
        self._pending.settle(response.decisions)

    def _lost(self) -> None:
        runs_lost(self._pending.take_running())

    def _send_later(self, delay: float, entry: PendingProposal) -> None:
        health = self._service.engine.health
        if health.lasting:
            self._pending.fail(entry, ServerUnavailable(health.fault))
            return
        get_io_thread().call_later(delay, self._send_again, entry)

    def _send_again(self, entry: PendingProposal) -> None:
        if self._pending.is_pending(entry):
            self._send(entry)

    async def _call(self, method: str, request: Message, seconds: float | None) -> Message:
        if self._closed:
            raise _closed()
        call: Callable[[Any], Coroutine[Any, Any, Message]] = getattr(self._service.orchestrator, method)
        try:
            return await asyncio.wait_for(call(request), seconds)
        except EngineError as error:
            raise _exception_from(error) from None
        except TimeoutError:
            raise ServerUnavailable(
                f"{method} was not answered within {seconds} s; is another process writing to the database?"
            ) from None


def _settings(database: Path) -> ServiceSettings:
    """Return the settings of the engine, from the sources of the SDK's.

    Raises:
        InvalidSetting: One of them has a value that is not allowed.
    """
    try:
        settings = ServiceSettings.from_sources(get_settings().sources)
    except SettingError as error:
        raise InvalidSetting(str(error)) from None
    return replace(settings, database=database, extend_leases=False)


def empty_database() -> bytes:
    """Return the bytes of a database file with the schema of this version, and nothing else."""
    from tempfile import TemporaryDirectory  # noqa: PLC0415 - for tests, and it loads compression

    with TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        Database(path).close()
        return path.read_bytes()


def _exception_from(error: EngineError) -> ServiceError:
    return exception_for(int(error.reason), error.message, error.field, error.metadata)


def _closed() -> ClientClosed:
    return ClientClosed("the embedded engine was closed; nothing more can be proposed or asked")
