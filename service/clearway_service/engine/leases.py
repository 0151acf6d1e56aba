"""Leases: renews those of connected clients, and ends sessions whose leases have expired."""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta
from typing import Protocol

from clearway_service import __version__
from clearway_service.engine.clock import Clock
from clearway_service.engine.pipeline import Pipeline
from clearway_service.engine.processes import is_alive, is_dead, this_process
from clearway_service.errors import ClearwayError, StoreUnavailableError
from clearway_service.settings import ServiceSettings
from clearway_service.store.cache_expiry import delete_expired
from clearway_service.store.session_ends import end_session, expire_sessions
from clearway_service.store.sessions import (
    Client,
    extend_all_sessions,
    open_session,
    renew_sessions,
    reopen_session,
    shorten_session,
)
from clearway_service.store.timeline import note_steady

logger = logging.getLogger(__name__)

_MICROSECOND = timedelta(microseconds=1)
# A lease is renewed this many times before it would expire.
_RENEWALS = 3
# The dead-holder check interval while a client of this engine waits for a slot.
_WATCH_SECONDS = 0.25
_SHORTEST_PAUSE = 0.05
# How many expired cache entries are deleted at once, at most.
_MOST_EXPIRED = 500


class Holder(Protocol):
    """A client that holds a session while it is connected.

    Attributes:
        session_id: The session.
        heard: When the client was last seen, by the monotonic clock, in seconds.
    """

    session_id: str
    heard: float

    def expire(self) -> None:
        """Called when the session has ended although the client is connected."""


class Leases:
    """Renews the sessions of this engine's clients on its own thread. Thread-safe.

    Args:
        pipeline: Runs the commands that write.
        clock: The engine's two clocks.
        settings: The service's settings.
        stir: Set to have the leases checked now.
    """

    def __init__(
        self, pipeline: Pipeline, clock: Clock, settings: ServiceSettings, stir: threading.Event
    ) -> None:
        self._pipeline = pipeline
        self._clock = clock
        self._lease = settings.lease // _MICROSECOND
        self._lease_seconds = settings.lease.total_seconds()
        self._grace = settings.stream_grace // _MICROSECOND
        self._extend = settings.extend_leases
        self._stir = stir
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._holders: dict[Holder, bool] = {}
        self._stop = threading.Event()
        self._away_until: int | None = None  # by the steady clock: until when clients could not renew
        if settings.extend_leases:
            self._pipeline.run(extend_all_sessions(self._lease)).result()
            self._away_until = clock.steady()
        own = Client("the engine", "python", __version__)
        self._pipeline.run(open_session(self._pipeline.owner, own, self._lease, this_process())).result()
        self._keeper = threading.Thread(target=self._keep, name="clearway-leases", daemon=True)
        self._keeper.start()

    def add(self, holder: Holder, *, local: bool) -> None:
        """Start renewing a client's session.

        Args:
            holder: The client.
            local: Whether it is in this process, and so lives as long as the engine.
        """
        with self._lock:
            self._holders[holder] = local

    def remove(self, holder: Holder) -> None:
        """Stop renewing a client's session."""
        with self._lock:
            self._holders.pop(holder, None)

    def lose(self, holder: Holder) -> None:
        """Shorten the lease of a client whose stream broke: it should reconnect sooner than a silent one."""
        self.remove(holder)
        with self._lock:
            resumed = any(other.session_id == holder.session_id for other in self._holders)
        if not resumed:
            self._pipeline.run(shorten_session(holder.session_id, self._grace))
            self._stir.set()

    def stop(self) -> None:
        """Signal the thread to end, without waiting for it."""
        self._stop.set()
        self._stir.set()

    def close(self) -> None:
        """End the thread, and then the engine's own session."""
        self.stop()
        self._keeper.join()
        self._pipeline.run(note_steady())
        self._pipeline.run(end_session(self._pipeline.owner, "its engine was closed"))

    def clock_moved(self) -> None:
        """End expired sessions at once, after a test has moved the clock.

        Raises:
            StoreUnavailableError: The database did not accept the transaction.
        """
        self._look(late=False)
        self._stir.set()

    def _keep(self) -> None:
        """Renew the leases of connected clients and end expired ones, until stopped."""
        earliest: int | None = None
        looked = time.monotonic()
        failed = False
        while not self._stop.is_set():
            late = time.monotonic() - looked > self._lease_seconds
            looked = time.monotonic()
            try:
                if failed and self._extend:
                    # While the database accepted no transactions, no client could renew its lease.
                    self._pipeline.run(extend_all_sessions(self._lease)).result()
                    self._away_until = self._clock.steady()
                earliest = self._look(late=late)
                failed = False
            except StoreUnavailableError:  # logged by the store's health, which also says when to try again
                failed, earliest = True, None
            except ClearwayError:
                logger.exception("leases could not be renewed; trying again")
            self._stir.wait(self._pause(earliest))
            self._stir.clear()

    def _look(self, *, late: bool) -> int | None:
        """Renew and end leases, and delete expired cache entries; return when the next lease expires."""
        with self._looking:
            # The clock is read once, so that a lease that was just renewed cannot count as expired.
            steady = self._clock.steady()
            self._renew(steady, late=late)
            self._pipeline.run(note_steady())
            expired = self._pipeline.run(delete_expired(_MOST_EXPIRED))
            expire = expire_sessions(self._lease, is_dead, steady, is_alive, self._away_until)
            earliest: int | None = self._pipeline.run(expire).result()
            # There are more expired entries: run again at once, with other work in between.
            return steady if expired.result() == _MOST_EXPIRED else earliest

    def _pause(self, earliest: int | None) -> float:
        """Return the seconds until the next check: a third of a lease, or less if there is a reason."""
        pause = self._lease_seconds / _RENEWALS
        if earliest is not None:
            # Never negative: a lease that has just expired is ended by the next check.
            pause = min(pause, max(_SHORTEST_PAUSE, (earliest - self._clock.steady()) / 1e6))
        if self._pipeline.waiting:
            # A client of this engine waits for a slot, perhaps of a process that has died.
            pause = min(pause, _WATCH_SECONDS)
        return pause

    def _renew(self, steady: int, *, late: bool) -> None:
        """Renew the lease of each connected client, from when it was last seen.

        Args:
            steady: The steady clock.
            late: Whether this process itself was suspended, so that it could not hear its clients.
        """
        ticks = time.monotonic()
        with self._lock:
            holders = dict(self._holders)
        expires = {self._pipeline.owner: steady + self._lease}
        for holder, local in holders.items():
            if local or late:
                holder.heard = ticks
            silent = int((ticks - holder.heard) * 1e6)
            expires[holder.session_id] = steady - silent + self._lease
        renewed = self._pipeline.run(renew_sessions(expires)).result()
        if self._pipeline.owner not in renewed:
            # Another engine considered this one dead, as after a long pause.
            self._pipeline.run(reopen_session(self._pipeline.owner, self._lease))
        for holder in holders:
            if holder.session_id not in renewed:
                holder.expire()
