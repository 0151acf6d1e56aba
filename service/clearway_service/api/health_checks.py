"""Health checks: ``grpc.health.v1`` for the server as a whole and for the Orchestrator service."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

_SERVING = health_pb2.HealthCheckResponse(status="SERVING")
_NOT_SERVING = health_pb2.HealthCheckResponse(status="NOT_SERVING")
_UNKNOWN = health_pb2.HealthCheckResponse(status="SERVICE_UNKNOWN")


class HealthChecks(health_pb2_grpc.HealthServicer):
    """Reports one status for all services. Belongs to its event loop; only ``report`` is thread-safe.

    gRPC's own servicer drops all watchers of a service when one of them leaves, and keeps them open while the
    server drains.

    Args:
        services: The names of the services; the empty name stands for the server.
    """

    def __init__(self, services: Iterable[str]) -> None:
        self._services = frozenset(services)
        self._loop = asyncio.get_running_loop()
        self._status = _SERVING
        self._draining = False
        self._watchers: set[asyncio.Event] = set()

    def report(self, healthy: bool) -> None:
        """Set the status to SERVING or NOT_SERVING. Thread-safe."""
        self._loop.call_soon_threadsafe(self._set, _SERVING if healthy else _NOT_SERVING)

    def drain(self) -> None:
        """Report NOT_SERVING permanently, and end the watching calls."""
        self._set(_NOT_SERVING)
        self._draining = True

    def _set(self, status: health_pb2.HealthCheckResponse) -> None:
        if self._draining:
            return
        self._status = status
        for watcher in self._watchers:
            watcher.set()

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Any) -> Any:  # noqa: N802 - gRPC's name
        """Return the current status."""
        if request.service not in self._services:
            await context.abort(grpc.StatusCode.NOT_FOUND)
        return self._status

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Any) -> None:  # noqa: N802 - gRPC's name
        """Send the current status, and each change of it."""
        changed = asyncio.Event()
        self._watchers.add(changed)
        try:
            last: health_pb2.HealthCheckResponse | None = None
            while True:
                changed.clear()
                status = self._status if request.service in self._services else _UNKNOWN
                if status is not last:
                    last = status
                    await context.write(status)
                if self._draining:
                    return
                await changed.wait()
        finally:
            self._watchers.discard(changed)
