"""The engine: the database, the pipeline and the leases, independent of any protocol."""

from __future__ import annotations

import threading
from datetime import timedelta

from clearway_service.engine.budget import Budget
from clearway_service.engine.clock import Clock, Source
from clearway_service.engine.leases import Leases
from clearway_service.engine.pipeline import Pipeline
from clearway_service.settings import ServiceSettings
from clearway_service.store.database import Database
from clearway_service.store.timeline import join_timeline


class Engine:
    """Decides proposals for the runs of one database.

    Args:
        settings: The service's settings.
        clock: The engine's two clocks; None for those of the machine. Tests pass their own, or a function
            that returns microseconds since 1970 and is used for both.

    Attributes:
        settings: The service's settings.
        clock: The engine's two clocks.
        database: The database; its writer belongs to the pipeline.
        pipeline: Decides proposals and runs commands.
        budget: Bounds the memory for pending work of clients in other processes.
        leases: Renews the sessions of connected clients.
        health: Whether the database accepts transactions.

    Raises:
        StoreUnavailableError: The database cannot be opened.
    """

    def __init__(self, settings: ServiceSettings, clock: Clock | Source | None = None) -> None:
        self.settings = settings
        self.clock = _clock_of(clock)
        self.database = Database(settings.database, settings.synchronous)
        stir = threading.Event()
        self.pipeline = Pipeline(self.database, self.clock, stir.set)
        self.budget = Budget(settings.max_inflight_bytes, settings.max_client_bytes)
        self.health = self.database.health
        self._closed = False
        if self.clock.timeline:
            lease = settings.lease // timedelta(microseconds=1)
            join = join_timeline(self.clock.timeline, self.clock.ticks, lease)
            self.clock.anchor = self.pipeline.run(join).result()
        self.leases = Leases(self.pipeline, self.clock, settings, stir)
        self.health.subscribe(lambda _healthy: stir.set())

    def close(self) -> None:
        """Decide what was submitted, then stop. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self.leases.stop()
        self.database.hurry()
        self.leases.close()
        self.pipeline.close()
        self.database.close()

    async def close_reader(self) -> None:
        """Close the read connections, on the event loop that used them."""
        await self.database.close_reader()


def _clock_of(clock: Clock | Source | None) -> Clock:
    if clock is None:
        return Clock.of_machine()
    return clock if isinstance(clock, Clock) else Clock.moved_by(clock)
