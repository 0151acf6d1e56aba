"""The engine: database, pipeline and sessions, put together. A server serves it; the SDK can embed it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from typing import Any

from clearway.v1 import proposal_pb2
from clearway_service import __version__
from clearway_service.budget import Budget, Call, Caller
from clearway_service.clock import Clock, Source, new_id
from clearway_service.connection import Connection, Deliver
from clearway_service.errors import ClearwayError, StoreUnavailableError
from clearway_service.handlers import validation as valid
from clearway_service.handlers.orchestrator import Orchestrator
from clearway_service.handlers.rendering import duration
from clearway_service.handlers.sessions import parse_client
from clearway_service.pipeline import MAX_PROPOSALS, Pipeline
from clearway_service.processes import is_alive, is_dead, this_process
from clearway_service.settings import ServiceSettings
from clearway_service.store.database import Database
from clearway_service.store.sessions import (
    Client,
    end_session,
    expire_sessions,
    extend_all_sessions,
    open_session,
    renew_sessions,
    reopen_session,
    resume_session,
    shorten_session,
)
from clearway_service.store.sweeping import sweep
from clearway_service.store.timeline import join_timeline, note_steady

logger = logging.getLogger(__name__)

_MICROSECOND = timedelta(microseconds=1)
# A lease is renewed this many times before it would run out.
_RENEWALS = 3
# How often, while someone here waits for a slot, it is looked whether a process that holds one has died.
_WATCH_SECONDS = 0.25
_SHORTEST_PAUSE = 0.05
# At most this many expired cache entries are removed at once.
_SWEPT = 500


class Engine:
    """Decides about runs, on one database.

    Args:
        settings: What the service was told.
        clock: The engine's two clocks; None for those of the machine. Tests give their own, or a function
            that tells microseconds since 1970, which is both clocks then.

    Attributes:
        orchestrator: One coroutine for each unary RPC, from request to response.
        health: Whether the database takes transactions.
        budget: What clients of other processes may have under way.

    Raises:
        StoreUnavailableError: The database cannot be opened.
    """

    def __init__(self, settings: ServiceSettings, clock: Clock | Source | None = None) -> None:
        self.settings = settings
        self._lease = settings.lease // _MICROSECOND
        self._lease_seconds = settings.lease.total_seconds()
        self._grace = settings.stream_grace // _MICROSECOND
        self._retry_after = settings.slot_retry_after // _MICROSECOND
        self._clock = _clock_of(clock)
        self._database = Database(settings.database, settings.synchronous)
        self._stir = threading.Event()
        self._pipeline = Pipeline(self._database, self._clock, self._stir.set)
        self.budget = Budget(settings.max_inflight_bytes, settings.max_client_bytes)
        self.health = self._database.health
        self.orchestrator = Orchestrator(self._pipeline, self._database, settings, self._clock)
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._connections: dict[Connection, bool] = {}
        self._stop = threading.Event()
        if self._clock.timeline:
            join = join_timeline(self._clock.timeline, self._clock.ticks, self._lease)
            self._clock.anchor = self._pipeline.run(join).result()
        if settings.extend_leases:
            self._pipeline.run(extend_all_sessions(self._lease)).result()
        own = Client("the engine", "python", __version__)
        self._pipeline.run(open_session(self._pipeline.owner, own, self._lease, this_process())).result()
        self.health.subscribe(lambda _healthy: self._stir.set())
        self._keeper = threading.Thread(target=self._keep, name="clearway-leases", daemon=True)
        self._keeper.start()

    @classmethod
    def open(cls, settings: ServiceSettings) -> Engine:
        """Open the database, bring its schema up to date, and begin to decide.

        Raises:
            StoreUnavailableError: The database cannot be opened.
        """
        return cls(settings)

    def connect(
        self,
        hello: proposal_pb2.Hello,
        deliver: Deliver,
        on_expiry: Callable[[Connection], None] | None = None,
        on_replaced: Callable[[], None] | None = None,
        caller: Caller | None = None,
    ) -> Connection:
        """Begin a client's conversation, and return when its session is durable. See ``begin``."""
        return self.begin(hello, deliver, on_expiry, on_replaced, caller).result()

    def begin(
        self,
        hello: proposal_pb2.Hello,
        deliver: Deliver,
        on_expiry: Callable[[Connection], None] | None = None,
        on_replaced: Callable[[], None] | None = None,
        caller: Caller | None = None,
    ) -> Future[Connection]:
        """Begin a client's conversation. Safe from any thread; returns at once.

        Args:
            hello: Who the client is, and the session to resume, if any.
            deliver: Called with decisions, in any order, on the engine's thread or that of ``propose``;
                it must be quick and never raise.
            on_expiry: For a client of another process, called when its session has ended although it is
                there: it has to connect anew. None for a client in this process, which lives as long as the
                engine does: its session is renewed without a word of it, and replaced where it has ended.
            on_replaced: For a client in this process, called when its session has ended and is replaced, on
                one of the engine's threads: what was Running is Crashed. It must be quick and never raise.
            caller: For a client of another process, what it has under way.

        Returns:
            The conversation, once its session is durable; or SessionExpiredError, where the session to
            resume is no longer alive.

        Raises:
            InvalidArgumentError: A field of the hello is not allowed.
        """
        client = parse_client("hello.", hello.client_name, hello.language, hello.version)
        process = "" if on_expiry else this_process()

        def replace(connection: Connection) -> None:
            session_id = new_id()
            self._pipeline.run(open_session(session_id, client, self._lease, process))
            if on_replaced is not None:
                on_replaced()
            connection.move(session_id)

        session_id = valid.optional_id("hello.resume_session_id", hello.resume_session_id)
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
                on_close=self._forget,
                on_loss=self._lose,
                on_expiry=on_expiry or replace,
                caller=caller,
            )
            with self._lock:
                self._connections[connection] = on_expiry is None
            begun.set_result(connection)

        opening.add_done_callback(admit)
        return begun

    def _welcome(self, session_id: str) -> proposal_pb2.Welcome:
        return proposal_pb2.Welcome(
            session_id=session_id,
            lease=duration(self._lease),
            server_version=__version__,
            max_message_bytes=self.settings.max_message_bytes,
            max_proposals=MAX_PROPOSALS,
        )

    def close(self) -> None:
        """Decide what was submitted, then stop. Calling it again does nothing."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._stir.set()
        self._database.hurry()
        self._keeper.join()
        self.orchestrator.close()
        self._pipeline.run(note_steady())
        self._pipeline.run(end_session(self._pipeline.owner, "its engine was closed"))
        self._pipeline.close()
        self._database.close()

    async def close_reader(self) -> None:
        """Close the connections that read, on the event loop that used them."""
        await self._database.close_reader()

    def _forget(self, connection: Connection) -> None:
        with self._lock:
            self._connections.pop(connection, None)

    def _lose(self, connection: Connection) -> None:
        """Leave the session of a stream that broke a shorter time to come back than one that went silent."""
        self._forget(connection)
        with self._lock:
            resumed = any(other.session_id == connection.session_id for other in self._connections)
        if not resumed:
            self._pipeline.run(shorten_session(connection.session_id, self._grace))
            self._stir.set()

    def _keep(self) -> None:
        """Renew the leases of the clients that are here, and end those that have run out."""
        earliest: int | None = None
        looked = time.monotonic()
        failed = False
        while not self._stop.is_set():
            late = time.monotonic() - looked > self._lease_seconds
            looked = time.monotonic()
            try:
                if failed and self.settings.extend_leases:
                    # While the database took nothing, no client could renew its lease.
                    self._pipeline.run(extend_all_sessions(self._lease)).result()
                earliest = self._look(late=late)
                failed = False
            except StoreUnavailableError:  # logged by the store's health, which also says when to try again
                failed, earliest = True, None
            except ClearwayError:
                logger.exception("leases could not be renewed; trying again")
            self._stir.wait(self._pause(earliest))
            self._stir.clear()

    def _look(self, *, late: bool) -> int | None:
        """Renew and end leases, and sweep the cache; return when the next one runs out, if there is one."""
        with self._looking:
            # By one reading of the clock: who was just renewed is not ended, however long that took.
            steady = self._clock.steady()
            self._renew(steady, late=late)
            self._pipeline.run(note_steady())
            swept = self._pipeline.run(sweep(_SWEPT))
            expire = expire_sessions(self._lease, is_dead, steady, is_alive)
            earliest: int | None = self._pipeline.run(expire).result()
            # Where there is more to sweep, others are let in between.
            return steady if swept.result() == _SWEPT else earliest

    def clock_moved(self) -> None:
        """Do at once what is due by a clock that has jumped: the leases of who is not here run out.

        Raises:
            StoreUnavailableError: The database did not take it.
        """
        self._look(late=False)
        self._stir.set()

    def _pause(self, earliest: int | None) -> float:
        """Return the seconds until the next look: a third of a lease, or sooner where there is a reason."""
        pause = self._lease_seconds / _RENEWALS
        if earliest is not None:
            # Never in the past: a lease that has just run out is ended by the next look.
            pause = min(pause, max(_SHORTEST_PAUSE, (earliest - self._clock.steady()) / 1e6))
        if self._pipeline.waiting:
            # Someone here waits for a slot, perhaps of a process that has died.
            pause = min(pause, _WATCH_SECONDS)
        return pause

    def _renew(self, steady: int, *, late: bool) -> None:
        """Give each client that is here its lease, from when it was last heard of.

        Args:
            steady: The steady clock.
            late: Whether this process itself was away, so that its clients could not be heard.
        """
        ticks = time.monotonic()
        with self._lock:
            connections = dict(self._connections)
        expires = {self._pipeline.owner: steady + self._lease}
        for connection, local in connections.items():
            if local or late:
                connection.heard = ticks
            silent = int((ticks - connection.heard) * 1e6)
            expires[connection.session_id] = steady - silent + self._lease
        renewed = self._pipeline.run(renew_sessions(expires)).result()
        if self._pipeline.owner not in renewed:
            # Another engine took this one for dead, as after a long pause.
            self._pipeline.run(reopen_session(self._pipeline.owner, self._lease))
        for connection in connections:
            if connection.session_id not in renewed:
                connection.expire()


def _clock_of(clock: Clock | Source | None) -> Clock:
    if clock is None:
        return Clock.of_machine()
    return clock if isinstance(clock, Clock) else Clock.moved_by(clock)
