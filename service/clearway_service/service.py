"""The service: an engine with its API, run by a server or embedded by the SDK."""

from __future__ import annotations

from clearway_service.api.connecting import Connector
from clearway_service.api.orchestrator import Orchestrator
from clearway_service.engine.clock import Clock, Source
from clearway_service.engine.engine import Engine
from clearway_service.settings import ServiceSettings


class Service:
    """Serves clients in this process, and the remote clients of a server.

    Args:
        settings: The service's settings.
        clock: As for ``Engine``.

    Attributes:
        engine: Decides proposals.
        orchestrator: The unary RPCs, one coroutine each.
        connector: Connects clients.

    Raises:
        StoreUnavailableError: The database cannot be opened.
    """

    def __init__(self, settings: ServiceSettings, clock: Clock | Source | None = None) -> None:
        self.engine = Engine(settings, clock)
        self.orchestrator = Orchestrator(
            self.engine.pipeline, self.engine.database, settings, self.engine.clock
        )
        self.connector = Connector(self.engine)
        self._closed = False

    def clock_moved(self) -> None:
        """End expired sessions at once, after a test has moved the clock.

        Raises:
            StoreUnavailableError: The database did not accept the transaction.
        """
        self.engine.leases.clock_moved()

    def close(self) -> None:
        """Decide what was submitted, then stop. Idempotent."""
        if not self._closed:
            self._closed = True
            self.orchestrator.close()
            self.engine.close()

    async def close_reader(self) -> None:
        """Close the read connections, on the event loop that used them."""
        await self.engine.close_reader()
