"""Guard: wraps every RPC of the port, so that malformed requests and unexpected errors get our own status.

gRPC would log a traceback for each, and return a status that a client cannot act on.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, NoReturn, TypeAlias

import grpc.aio
from grpc_status import rpc_status

from clearway_service.api.decoding import decode
from clearway_service.api.status import status_of
from clearway_service.errors import ClearwayError

logger = logging.getLogger(__name__)

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Decode = Callable[[Any], Any]


class GuardedServer:
    """Adds services to a server with wrapped handlers. Handlers that take bytes decode them themselves.

    It has the methods of a server that generated code calls. An interceptor would repeat the work at each
    call, for a tenth of the call's time.

    Args:
        server: The server.
    """

    def __init__(self, server: grpc.aio.Server) -> None:
        self._server = server

    def add_registered_method_handlers(self, service_name: str, method_handlers: dict[str, Handler]) -> None:
        """Add a service."""
        guarded = {
            name: _guarded(handler, f"/{service_name}/{name}") for name, handler in method_handlers.items()
        }
        # Registered handlers are looked up faster, but older versions of grpcio ignore them.
        handler = grpc.method_handlers_generic_handler(service_name, guarded)
        self._server.add_generic_rpc_handlers((handler,))
        self._server.add_registered_method_handlers(service_name, guarded)

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Any) -> None:
        """Do nothing: generated code registers a service both ways, and only the other names its methods."""


async def abort(context: grpc.aio.ServicerContext[Any, Any], error: ClearwayError) -> NoReturn:
    """End a call with the status of ``error``."""
    status = rpc_status.to_status(status_of(error))
    await context.abort(status.code, status.details, status.trailing_metadata)
    raise AssertionError("abort raises")


def _guarded(handler: Any, method: str) -> Handler:
    call = handler.stream_stream or handler.unary_stream or handler.unary_unary
    decoder = _decoder(handler.request_deserializer)
    if inspect.isasyncgenfunction(call):
        wrapped: Any = _generator(call, method, decoder, streams=handler.request_streaming)
    else:
        wrapped = _coroutine(call, method, decoder, streams=handler.request_streaming)
    make: Any = _MAKE[handler.request_streaming, handler.response_streaming]
    return make(wrapped, None, handler.response_serializer)  # type: ignore[no-any-return]


_MAKE = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


def _coroutine(call: Any, method: str, decoder: Decode | None, *, streams: bool) -> Any:
    async def wrapped(request: Any, context: Any) -> Any:
        try:
            if decoder is None:
                return await call(request, context)
            if streams:
                incoming = _Incoming(request, context, decoder)
                return await call(incoming, incoming)
            return await call(decoder(request), context)
        except Exception as error:  # noqa: BLE001 - the client gets a status for any error
            await _end(context, method, error)

    return wrapped


def _generator(call: Any, method: str, decoder: Decode | None, *, streams: bool) -> Any:
    async def wrapped(request: Any, context: Any) -> AsyncIterator[Any]:
        try:
            if decoder is None:
                given = request
            else:
                given = _Incoming(request, context, decoder) if streams else decoder(request)
            async for response in call(given, context):
                yield response
        except Exception as error:  # noqa: BLE001 - see above
            await _end(context, method, error)

    return wrapped


async def _end(context: Any, method: str, error: Exception) -> NoReturn:
    """End a call with the status of the error."""
    if isinstance(error, grpc.aio.BaseError):  # the call has ended, or its client is gone
        raise error
    if isinstance(error, ClearwayError):
        await abort(context, error)
    kind = type(error).__name__
    logger.error("%s failed", method, exc_info=error, extra={"repeats": method})
    await context.abort(grpc.StatusCode.INTERNAL, f"the service failed ({kind}); its log says where")
    raise AssertionError("abort raises")


def _decoder(deserializer: Any) -> Decode | None:
    """Return the decoder of a request, to replace ``FromString``, which raises protobuf's own error."""
    if deserializer is None:
        return None
    kind = deserializer.__self__
    return lambda body: decode(kind, body)


class _Incoming:
    """The decoded requests of a stream: both an iterator over them and the call's context."""

    def __init__(self, requests: Any, context: Any, decoder: Decode) -> None:
        self._requests = requests
        self._context = context
        self._decode = decoder

    async def __aiter__(self) -> AsyncIterator[Any]:
        async for body in self._requests:
            yield self._decode(body)

    async def read(self) -> Any:
        """Return the next request, or ``grpc.aio.EOF``."""
        body = await self._context.read()
        return body if body is grpc.aio.EOF else self._decode(body)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)
