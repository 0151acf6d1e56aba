"""A gRPC channel to a server, and its unary calls. Used on the I/O thread's event loop only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from clearway._base.backoff import Backoff
from clearway._transport.errors import exception_from_status, short_reason
from clearway._transport.fork_safe_grpc import grpc
from clearway._transport.outage import Outage
from clearway.exceptions import ServerUnavailable, ServiceError
from clearway.v1 import orchestrator_pb2

_SERVICE: Final = orchestrator_pb2.DESCRIPTOR.services_by_name["Orchestrator"]
_STATUS_TRAILER: Final = "grpc-status-details-bin"
_MAX_RECEIVED: Final = 64 * 1024 * 1024
_OPTIONS: Final[tuple[tuple[str, int], ...]] = (
    ("grpc.max_receive_message_length", _MAX_RECEIVED),
    ("grpc.max_send_message_length", _MAX_RECEIVED),
    # Detects a dead peer within 15 s.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    # How quickly a restarted server is found; `min` is also the timeout of one connection attempt.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 10_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)
_LOOPBACK: Final = ("localhost:", "127.", "[::1]:")
_NOT_REPEATED: Final = frozenset({"DeleteConcurrencyLimit"})
"""Calls that must not be repeated: a second delete would fail because the first one succeeded."""

RECONNECT: Final = Backoff(first=0.05, longest=1.0)


def _call_later(seconds: float, function: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(seconds, function)


class GrpcChannel:
    """A channel that remembers whether its server was ever reached.

    Attributes:
        reached: Whether it was. One that never was is a mistake to tell at once; one that was will come back.
        outage: Whether it is away; of a server that was reached.
    """

    def __init__(self, address: str, patience: float) -> None:
        """Make it; connects when first used.

        Args:
            address: The server's ``host:port``.
            patience: How many seconds a server that was reached before may be unreachable.
        """
        self.address = address
        self.reached = False
        self.outage = Outage(address, patience, _call_later)
        self._patience = patience
        self._opened: grpc.aio.Channel | None = None
        self._unary: dict[str, Callable[..., Any]] = {}

    def open_stream(self) -> grpc.aio.StreamStreamCall[bytes, bytes]:
        """Open a ``Propose`` stream of serialized messages."""
        return cast(
            "grpc.aio.StreamStreamCall[bytes, bytes]",
            self._channel.stream_stream(f"/{_SERVICE.full_name}/Propose")(),
        )

    async def call(self, method: str, request: Message, seconds: float | None) -> Message:
        """Make a unary call, and make it again while a server that was reached before is away.

        Args:
            method: The name of the RPC.
            request: Its request message.
            seconds: How long it may take; None for as long as the server is there.

        Raises:
            ServiceError: The service refused it, or was away for too long.
        """
        loop = asyncio.get_running_loop()
        deadline = None if seconds is None else loop.time() + seconds
        give_up: float | None = None
        failures = 0
        while True:
            remaining = None if deadline is None else deadline - loop.time()
            try:
                response: Message = await self._stub(method)(request, timeout=remaining)
            except grpc.aio.AioRpcError as error:
                failure = self.exception_from(error)
                give_up = give_up or loop.time() + self._patience
                until = give_up if deadline is None else min(give_up, deadline)
                failures += 1
                delay = RECONNECT.delay(failures)
                self.note_failure(failure)
                if not self._worth_repeating(method, failure):
                    raise failure from None
                if loop.time() + delay > until:
                    raise self.why_given_up(failure) from None
            else:
                self.note_reached()
                return response
            await asyncio.sleep(delay)

    def exception_from(self, error: grpc.aio.AioRpcError) -> ServiceError:
        """Convert a failed call's error to the SDK's exception."""
        trailers = error.trailing_metadata() or ()
        status = next((value for key, value in trailers if key == _STATUS_TRAILER), None)
        return exception_from_status(
            error.code().name,
            error.details() or "",
            status if isinstance(status, bytes) else None,
            self.address,
        )

    def note_reached(self) -> None:
        """Note that the server is there."""
        self.reached = True
        self.outage.reached()

    def note_failure(self, failure: ServiceError) -> None:
        """Note a failed attempt to reach the server; other failures are ignored."""
        if self.reached and isinstance(failure, ServerUnavailable) and not failure.reason:
            self.outage.failed(short_reason(failure))

    def why_given_up(self, failure: ServiceError) -> ServiceError:
        """Return the exception for a request given up on; ``failure`` is that of the last attempt."""
        return self.outage.error() if self.outage.is_over_patience else failure

    async def close(self) -> None:
        """Close the channel and all calls on it."""
        self.outage.close()
        if self._opened is not None:
            await self._opened.close()

    @property
    def _channel(self) -> grpc.aio.Channel:
        """The channel, created on the loop that it then belongs to."""
        if self._opened is None:
            direct = self.address.startswith(_LOOPBACK)
            options = [*_OPTIONS, ("grpc.enable_http_proxy", 0)] if direct else _OPTIONS
            self._opened = grpc.aio.insecure_channel(self.address, options)
        return self._opened

    def _worth_repeating(self, method: str, failure: ServiceError) -> bool:
        return self.reached and isinstance(failure, ServerUnavailable) and method not in _NOT_REPEATED

    def _stub(self, method: str) -> Callable[..., Any]:
        stub = self._unary.get(method)
        if stub is None:
            described = _SERVICE.methods_by_name[method]
            stub = self._unary[method] = self._channel.unary_unary(
                f"/{_SERVICE.full_name}/{method}",
                request_serializer=GetMessageClass(described.input_type).SerializeToString,
                response_deserializer=GetMessageClass(described.output_type).FromString,
            )
        return stub
