"""Connecting: opens or resumes a client's session, and renews it while the client is connected."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from typing import Any

from clearway.v1 import proposal_pb2
from clearway_service import __version__
from clearway_service.api.parsing import uuid_of
from clearway_service.api.rendering import duration
from clearway_service.api.request_validation import check_hello
from clearway_service.api.session_connection import Connection, Deliver
from clearway_service.api.sessions import parse_client
from clearway_service.engine.budget import Call, Caller
from clearway_service.engine.clock import new_id
from clearway_service.engine.engine import Engine
from clearway_service.engine.pipeline import MAX_PROPOSALS
from clearway_service.engine.processes import this_process
from clearway_service.store.sessions import open_session, resume_session

_MICROSECOND = timedelta(microseconds=1)


class Connector:
    """Connects clients to an engine. Thread-safe.

    Args:
        engine: The engine.
    """

    def __init__(self, engine: Engine) -> None:
        self._settings = engine.settings
        self._pipeline = engine.pipeline
        self._leases = engine.leases
        self._lease = engine.settings.lease // _MICROSECOND
        self._retry_after = engine.settings.slot_retry_after // _MICROSECOND

    def connect(
        self,
        hello: proposal_pb2.Hello,
        deliver: Deliver,
        on_expiry: Callable[[Connection], None] | None = None,
        on_replaced: Callable[[], None] | None = None,
        caller: Caller | None = None,
    ) -> Connection:
        """Connect a client, and return when its session is durable. See ``begin``."""
        return self.begin(hello, deliver, on_expiry, on_replaced, caller).result()

    def begin(
        self,
        hello: proposal_pb2.Hello,
        deliver: Deliver,
        on_expiry: Callable[[Connection], None] | None = None,
        on_replaced: Callable[[], None] | None = None,
        caller: Caller | None = None,
    ) -> Future[Connection]:
        """Start connecting a client, and return at once.

        Args:
            hello: Describes the client, and names the session to resume, if any.
            deliver: Called with decisions, in any order, on the engine's thread or that of ``propose``;
                it must be quick and never raise.
            on_expiry: For a client in another process, called when its session has ended although it is
                connected: it has to reconnect. None for a client in this process, which lives as long as the
                engine: its session is renewed without heartbeats, and replaced if it ends.
            on_replaced: For a client in this process, called on one of the engine's threads when its session
                has ended and was replaced: its Running runs are Crashed. It must be quick and never raise.
            caller: For a client in another process, its share of the budget.

        Returns:
            A future with the connection, once its session is durable; it fails with SessionExpiredError if
            the session to resume has ended.

        Raises:
            InvalidArgumentError: The hello has an invalid field.
        """
        check_hello(hello, "hello.")
        client = parse_client(hello)
        process = "" if on_expiry else this_process()

        def replace(connection: Connection) -> None:
            session_id = new_id()
            self._pipeline.run(open_session(session_id, client, self._lease, process))
            if on_replaced is not None:
                on_replaced()
            connection.move(session_id)

        session_id = uuid_of(hello.resume_session_id)
        call = None if caller is None else Call(caller, hello.ByteSize())
        if session_id:
            resume = resume_session(session_id, self._lease, "hello.resume_session_id")
            opening = self._pipeline.run(resume, call)
        else:
            session_id = new_id()
            opening = self._pipeline.run(open_session(session_id, client, self._lease, process), call)
        begun: Future[Connection] = Future()
        begun.set_running_or_notify_cancel()

        def admit(opened: Future[Any]) -> None:
            if (error := opened.exception()) is not None:
                begun.set_exception(error)
                return
            connection = Connection(
                self._pipeline,
                self._welcome(session_id),
                deliver,
                self._retry_after,
                on_close=self._leases.remove,
                on_loss=self._leases.lose,
                on_expiry=on_expiry or replace,
                caller=caller,
            )
            self._leases.add(connection, local=on_expiry is None)
            begun.set_result(connection)

        opening.add_done_callback(admit)
        return begun

    def _welcome(self, session_id: str) -> proposal_pb2.Welcome:
        return proposal_pb2.Welcome(
            session_id=session_id,
            lease=duration(self._lease),
            server_version=__version__,
            max_message_bytes=self._settings.max_message_bytes,
            max_proposals=MAX_PROPOSALS,
        )
