"""The gRPC server: the engine behind a port."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import grpc.aio
import structlog
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from clearway.v1 import orchestrator_pb2
from clearway_service import __version__, store
from clearway_service.engine import Engine
from clearway_service.errors import ClearwayError, ShuttingDownError
from clearway_service.guard import Guard, abort
from clearway_service.logs import log_unretrieved
from clearway_service.settings import ServiceSettings
from clearway_service.stream import Stream

SERVICE = orchestrator_pb2.DESCRIPTOR.services_by_name["Orchestrator"]

logger = structlog.get_logger(__name__)

# What a batch makes is let go of when it is answered, and hardly any of it in circles. With Python's own
# threshold of 700 objects a tenth of the server's time went into looking for such.
_GC_THRESHOLD = 50_000


class Servicer:
    """Serves an engine's RPCs, and gives their errors a status.

    Args:
        engine: Decides.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._streams: set[Stream] = set()
        self._draining = False

    def handlers(self) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
        """Return what serves each method. A stream serializes its messages itself, in parts."""
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        for method in SERVICE.methods:
            request, response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
            if method.client_streaming:
                handlers[method.name] = grpc.stream_stream_rpc_method_handler(
                    self._propose, request.FromString
                )
            else:
                unary = _unary(getattr(self._engine.orchestrator, method.name))
                handlers[method.name] = grpc.unary_unary_rpc_method_handler(
                    unary, request.FromString, response.SerializeToString
                )
        return handlers

    async def _propose(self, request_iterator: Any, context: Any) -> None:
        """Converse on one stream."""
        del request_iterator
        if self._draining:
            await abort(context, _going_down())
        stream = Stream(self._engine, context)
        self._streams.add(stream)
        try:
            await stream.serve()
        except ClearwayError as error:
            await abort(context, error)
        finally:
            self._streams.discard(stream)

    async def drain(self) -> None:
        """Answer on each stream what was proposed, then end it; its client may connect again elsewhere."""
        self._draining = True
        await asyncio.gather(*(stream.stop() for stream in self._streams))


def _unary(handler: Callable[[Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
    async def call(request: Any, context: Any) -> Any:
        try:
            return await handler(request)
        except ClearwayError as error:
            await abort(context, error)

    return call


def _going_down() -> ShuttingDownError:
    return ShuttingDownError("the service is going down; connect again when it is back")


def _age(settings: ServiceSettings) -> list[tuple[str, int]]:
    """Return the options by which connections that are old enough are closed, their streams after a grace."""
    age = settings.max_connection_age // timedelta(milliseconds=1)
    grace = settings.shutdown_grace // timedelta(milliseconds=1)
    return [("grpc.max_connection_age_ms", age), ("grpc.max_connection_age_grace_ms", grace)] if age else []


@contextlib.asynccontextmanager
async def serving(engine: Engine) -> AsyncIterator[int]:
    """Serve ``engine`` on the host and port of its settings; yield the port, and drain in the end.

    Raises:
        OSError: The address cannot be listened on.
    """
    settings = engine.settings
    server = grpc.aio.server(
        migration_thread_pool=ThreadPoolExecutor(max_workers=2),
        interceptors=[Guard()],
        options=[
            ("grpc.max_receive_message_length", settings.max_message_bytes),
            ("grpc.max_send_message_length", -1),
            # Two servers on one port would share its connections without a word.
            ("grpc.so_reuseport", 0),
            ("grpc.keepalive_time_ms", 10_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            # Without it a peer that has stopped is noticed after a minute only.
            ("grpc.http2.ping_timeout_ms", 10_000),
            # Clients are welcome to look each second whether the server is there; sooner is abuse.
            ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
            ("grpc.keepalive_permit_without_calls", 1),
            *_age(settings),
        ],
    )
    servicer = Servicer(engine)
    checks = health.aio.HealthServicer()
    server.add_registered_method_handlers(SERVICE.full_name, servicer.handlers())
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    names = (SERVICE.full_name, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    try:
        port = server.add_insecure_port(f"{settings.host}:{settings.port}")
    except RuntimeError as error:
        raise OSError(
            f"cannot listen on {settings.host}:{settings.port}: "
            "the address is in use, or is none of this machine"
        ) from error
    await server.start()
    for name in ("", SERVICE.full_name):
        await checks.set(name, health_pb2.HealthCheckResponse.SERVING)
    try:
        yield port
    finally:
        await checks.enter_graceful_shutdown()
        try:
            async with asyncio.timeout(settings.shutdown_grace.total_seconds()):
                await servicer.drain()
        except TimeoutError:
            logger.warning("some streams were not answered in time")
        await server.stop(settings.shutdown_grace.total_seconds())


async def serve(settings: ServiceSettings) -> None:
    """Serve until SIGTERM or SIGINT, then drain.

    Raises:
        StoreUnavailableError: The database cannot be opened.
        OSError: The address cannot be listened on.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(log_unretrieved)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    engine = await asyncio.to_thread(Engine.open, settings)
    await asyncio.to_thread(store.load_all)
    gc.collect()
    gc.freeze()  # modules and compiled statements stay, so no collection needs to look at them
    gc.set_threshold(_GC_THRESHOLD, 10, 10)
    try:
        async with serving(engine) as port:
            logger.info(
                "listening",
                address=f"{settings.host}:{port}",
                database=str(settings.database),
                version=__version__,
            )
            await stop.wait()
            logger.info("draining")
    finally:
        await asyncio.to_thread(engine.close)
        await engine.close_reader()
    logger.info("stopped")
