"""Watching a server's health by ``grpc.health.v1``."""

from __future__ import annotations

import contextlib
import threading
from types import TracebackType
from typing import Any, Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from support.waiting import wait_until

SERVING, NOT_SERVING = "SERVING", "NOT_SERVING"
ORCHESTRATOR = "clearway.v1.Orchestrator"


class HealthWatch:
    """A ``Watch`` call on its own channel. As a context manager, it ends with the block.

    Args:
        address: The address of the server.
        service: The watched service; empty for the server as a whole.

    Attributes:
        seen: The statuses received, in order.
        ended: Set when the call has ended.
    """

    def __init__(self, address: str, service: str = "") -> None:
        self.seen: list[str] = []
        self.ended = threading.Event()
        self._service = service
        self._channel = grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
        stub: Any = health_pb2_grpc.HealthStub(self._channel)
        self._stub = stub
        self._call = self._stub.Watch(health_pb2.HealthCheckRequest(service=service))
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(grpc.RpcError):
            for answer in self._call:
                self.seen.append(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
        self.ended.set()

    def check(self) -> str:
        """Return the current status, from ``Check``."""
        answer = self._stub.Check(health_pb2.HealthCheckRequest(service=self._service))
        return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)

    def await_status(self, status: str) -> None:
        """Wait until the last status received is ``status``."""
        wait_until(lambda: self.seen[-1:] == [status], f"the status {status}")

    def close(self) -> None:
        """Disconnect, as a load balancer does."""
        self._call.cancel()
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
