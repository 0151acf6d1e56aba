"""The service: an engine and its API, put together. A server serves it; the SDK embeds it."""

from __future__ import annotations

from clearway_service.api.connecting import Connector
from clearway_service.api.orchestrator import Orchestrator
from clearway_service.engine.clock import Clock, Source
from clearway_service.engine.engine import Engine
from clearway_service.settings import ServiceSettings


class Service:
    """Serves clients in this process, and those that a server has taken calls from.

    Args:
        settings: The service's settings.
        clock: As for ``Engine``.

    Attributes:
        engine: Decides.
        orchestrator: One coroutine for each unary RPC, from request to response.
        connector: Begins clients' conversations.

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
        """Do at once what is due by a clock that has jumped: the leases of who is not here run out.

        Raises:
            StoreUnavailableError: The database did not accept the transaction.
        """
        self.engine.leases.clock_moved()

    def close(self) -> None:
        """Decide what was submitted, then stop. Calling it again does nothing."""
        if not self._closed:
            self._closed = True
            self.orchestrator.close()
            self.engine.close()

    async def close_reader(self) -> None:
        """Close the connections that read, on the event loop that used them."""
        await self.engine.close_reader()
