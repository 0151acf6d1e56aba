"""The gRPC server: serves the service on a port."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, cast

import grpc.aio
import structlog
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from clearway.v1 import orchestrator_pb2
from clearway_service import __version__, store
from clearway_service.api.decoding import decode
from clearway_service.api.density import check_density
from clearway_service.api.guard import GuardedServer, abort
from clearway_service.api.health_checks import HealthChecks
from clearway_service.api.propose_stream import Stream
from clearway_service.engine.budget import Budget, Call, current_call
from clearway_service.errors import BusyError, ClearwayError, ShuttingDownError
from clearway_service.logs.setup import log_unretrieved
from clearway_service.service import Service
from clearway_service.settings import ServiceSettings

SERVICE = orchestrator_pb2.DESCRIPTOR.services_by_name["Orchestrator"]

logger = structlog.get_logger(__name__)

# Objects of a batch are freed by reference counting when it is done; there are hardly any cycles. With
# Python's default threshold of 700 objects, the cyclic collector took a tenth of the server's time.
_GC_THRESHOLD = 50_000
# How many HTTP/2 streams one connection may have. It is far more than the budget allows, so that excess calls
# fail with BUSY instead of queueing in the client, where a KeepAlive would wait behind them.
MAX_CALLS = 16_384
# The memory overhead of a call; a response of up to this size is not counted separately.
_CALL_BYTES = 4096
# RPCs exempt from the budget: a client must not lose its session because of its uploads.
_ALWAYS = frozenset({"KeepAlive"})


class Servicer:
    """Serves the RPCs of a service, and maps their errors to statuses.

    Args:
        service: The service.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._streams: set[Stream] = set()
        self._draining = False

    def handlers(self) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
        """Return a handler for each method, from bytes to bytes, so that the bytes can be counted."""
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        for method in SERVICE.methods:
            if method.client_streaming:
                handlers[method.name] = grpc.stream_stream_rpc_method_handler(self._propose)
            else:
                handler = getattr(self._service.orchestrator, method.name)
                request = GetMessageClass(method.input_type)
                unary = _unary(handler, request, self._service.engine.budget, always=method.name in _ALWAYS)
                handlers[method.name] = grpc.unary_unary_rpc_method_handler(unary)
        return handlers

    async def _propose(self, request_iterator: Any, context: Any) -> None:
        """Serve one ``Propose`` stream."""
        del request_iterator
        if self._draining:
            await abort(context, _going_down())
        stream = Stream(self._service.connector, self._service.engine.budget, context)
        self._streams.add(stream)
        try:
            try:
                await stream.serve()
            finally:
                self._streams.discard(stream)
        except ClearwayError as error:
            await abort(context, error)

    async def drain(self) -> None:
        """End all streams after their pending proposals are decided; their clients may reconnect."""
        self._draining = True
        await asyncio.gather(*(stream.stop() for stream in self._streams))


def _unary(
    handler: Callable[[Any], Awaitable[Message]], request: type[Message], budget: Budget, *, always: bool
) -> Callable[[bytes, Any], Awaitable[bytes]]:
    """Return the handler of a unary method, which admits calls as the client's budget allows."""

    async def call(body: bytes, context: Any) -> bytes:
        caller = budget.caller_at(context.peer())
        size = len(body) + _CALL_BYTES
        try:
            if not (always or caller.may_read()):
                raise BusyError(
                    "this connection's pending calls, and responses that it has not received yet, have "
                    f"{caller.requests + caller.decisions} bytes; wait for them, and try again"
                )
            caller.take_in(size)
            current_call.set(Call(caller, len(body)))
            try:
                answer = (await handler(_parsed(request, body))).SerializeToString()
            finally:
                caller.settle(size)
        except ClearwayError as error:
            await abort(context, error)
        owed = len(answer)
        if owed > _CALL_BYTES:
            caller.owe(owed)
            # The closure holds only a number: a call is part of a reference cycle, so what its callbacks
            # hold is freed late.
            context.add_done_callback(lambda _context: caller.sent(owed))
        return answer

    return call


def _parsed(request: type[Message], body: bytes) -> Message:
    check_density(body, cast("Descriptor", request.DESCRIPTOR))
    return decode(request, body)


def _going_down() -> ShuttingDownError:
    return ShuttingDownError("the service is shutting down; reconnect when it is back")


def _age(settings: ServiceSettings) -> list[tuple[str, int]]:
    """Return the gRPC options that close connections of a certain age, and their streams after a grace."""
    age = settings.max_connection_age // timedelta(milliseconds=1)
    grace = settings.shutdown_grace // timedelta(milliseconds=1)
    return [("grpc.max_connection_age_ms", age), ("grpc.max_connection_age_grace_ms", grace)] if age else []


@contextlib.asynccontextmanager
async def serving(service: Service) -> AsyncIterator[int]:
    """Serve ``service`` on the host and port of its settings; yield the port, and drain at the end.

    Raises:
        OSError: The server cannot listen on the address.
    """
    settings = service.engine.settings
    server = grpc.aio.server(
        migration_thread_pool=ThreadPoolExecutor(max_workers=2),
        options=[
            ("grpc.max_receive_message_length", settings.max_message_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_concurrent_streams", MAX_CALLS),
            # With gRPC's defaults of 1,000 and 3,000, it cancels random calls of a burst.
            ("grpc.server.max_pending_requests", 2 * MAX_CALLS),
            ("grpc.server.max_pending_requests_hard_limit", 4 * MAX_CALLS),
            # With it, two servers on one port would silently share its connections.
            ("grpc.so_reuseport", 0),
            ("grpc.keepalive_time_ms", 10_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            # The default would detect a dead peer only after a minute.
            ("grpc.http2.ping_timeout_ms", 10_000),
            # Clients may ping once a second; more often counts as abuse.
            ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
            ("grpc.keepalive_permit_without_calls", 1),
            *_age(settings),
        ],
    )
    servicer = Servicer(service)
    checks = HealthChecks(("", SERVICE.full_name))
    guarded: Any = GuardedServer(server)
    guarded.add_registered_method_handlers(SERVICE.full_name, servicer.handlers())
    health_pb2_grpc.add_HealthServicer_to_server(checks, guarded)
    names = (SERVICE.full_name, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflected = reflection.aio.ReflectionServicer(names)
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(reflected, guarded)  # type: ignore[no-untyped-call]
    try:
        port = server.add_insecure_port(f"{settings.host}:{settings.port}")
    except RuntimeError as error:
        raise OSError(
            f"cannot listen on {settings.host}:{settings.port}: "
            "the address is in use, or is none of this machine"
        ) from error
    await server.start()
    unsubscribe = service.engine.health.subscribe(checks.report)
    try:
        yield port
    finally:
        unsubscribe()
        checks.drain()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + settings.shutdown_grace.total_seconds()
        try:
            async with asyncio.timeout_at(deadline):
                await servicer.drain()
        except TimeoutError:
            logger.warning("some streams did not end within the shutdown grace")
        # Unary calls get the rest of the grace, so that a client that reads nothing cannot double it.
        await server.stop(max(0.0, deadline - loop.time()))


async def serve(settings: ServiceSettings, given: Mapping[str, str] | None = None) -> None:
    """Run the server until SIGTERM or SIGINT, then drain.

    Args:
        settings: The server's settings.
        given: The settings that are not defaults, with their sources, for the log.

    Raises:
        StoreUnavailableError: The database cannot be opened.
        OSError: The server cannot listen on the address.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(log_unretrieved)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    service = await asyncio.to_thread(Service, settings)
    await asyncio.to_thread(store.load_all)
    gc.collect()
    gc.freeze()  # modules and compiled statements live on: spare the collector scanning them
    gc.set_threshold(_GC_THRESHOLD, 10, 10)
    try:
        async with serving(service) as port:
            logger.info(
                "listening",
                address=f"{settings.host}:{port}",
                database=str(settings.database),
                version=__version__,
                settings=dict(given or {}),
            )
            await stop.wait()
            logger.info("draining")
    finally:
        await asyncio.to_thread(service.close)
        await service.close_reader()
    logger.info("stopped")
