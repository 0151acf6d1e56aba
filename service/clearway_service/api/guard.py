"""The guard before every RPC of the port: undecodable bytes and unexpected errors end in a status of ours.

gRPC would log a traceback for each, and its status would say nothing that a client can act on.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn, TypeAlias

import grpc.aio
from grpc_status import rpc_status

from clearway_service.api.decoding import decode
from clearway_service.api.status import status_of
from clearway_service.errors import ClearwayError

logger = logging.getLogger(__name__)

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Decode = Callable[[Any], Any]


class Guard(grpc.aio.ServerInterceptor):
    """Wraps the handlers of all services. Handlers that take bytes as they are decode them themselves."""

    def __init__(self) -> None:
        self._guarded: dict[str, tuple[Handler, Handler]] = {}

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Handler | None]], handler_call_details: Any
    ) -> Handler | None:
        """Return the handler of a call, wrapped."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        known = self._guarded.get(method)
        if known is None or known[0] is not handler:
            known = self._guarded[method] = (handler, _guarded(handler, method))
        return known[1]


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


def _coroutine(call: Any, method: str, decoder: Decode, *, streams: bool) -> Any:
    async def wrapped(request: Any, context: Any) -> Any:
        try:
            if streams:
                incoming = _Incoming(request, context, decoder)
                return await call(incoming, incoming)
            return await call(decoder(request), context)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets a status
            await _end(context, method, error)

    return wrapped


def _generator(call: Any, method: str, decoder: Decode, *, streams: bool) -> Any:
    async def wrapped(request: Any, context: Any) -> AsyncIterator[Any]:
        try:
            given = _Incoming(request, context, decoder) if streams else decoder(request)
            async for response in call(given, context):
                yield response
        except Exception as error:  # noqa: BLE001 - see above
            await _end(context, method, error)

    return wrapped


async def _end(context: Any, method: str, error: Exception) -> NoReturn:
    """End a call that failed."""
    if isinstance(error, grpc.aio.BaseError):  # the call has been ended, or its client has gone
        raise error
    if isinstance(error, ClearwayError):
        await abort(context, error)
    kind = type(error).__name__
    logger.error("%s failed", method, exc_info=error, extra={"repeats": method})
    await context.abort(grpc.StatusCode.INTERNAL, f"the service failed ({kind}); its log says where")
    raise AssertionError("abort raises")


def _decoder(deserializer: Any) -> Decode:
    """Return what decodes a request: instead of ``FromString``, which raises an error of protobuf's."""
    if deserializer is None:
        return lambda body: body
    kind = deserializer.__self__
    return lambda body: decode(kind, body)


class _Incoming:
    """A stream's requests, decoded: an iterator over them, and the call's context, by which they are read."""

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
