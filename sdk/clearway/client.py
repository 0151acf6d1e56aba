"""The client: reads and manages runs, concurrency limits, cache entries and logs.

with get_client() as client:
    client.create_concurrency_limit(tag="database", concurrency_limit=10)

async with get_client() as client:
    limit = await client.read_concurrency_limit_by_tag(tag="database")
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypeVar, overload

from clearway._base.tracebacks import folded
from clearway._client import cache_operations, operations
from clearway._transport.current import connect, current_transport
from clearway._transport.protocol import Transport
from clearway._waiting.sigint import shielded, wait_told
from clearway.context import current_attempt

if TYPE_CHECKING:
    from clearway._client.operations import Operation

P = ParamSpec("P")
R = TypeVar("R")


class _Blocking(Generic[P, R]):
    """Turns an operation into a blocking method."""

    def __init__(self, operation: Callable[P, Operation[R]]) -> None:
        self._operation = operation
        self.__doc__ = operation.__doc__

    @overload
    def __get__(self, client: None, owner: type[SyncClient]) -> Self: ...
    @overload
    def __get__(self, client: SyncClient, owner: type[SyncClient]) -> Callable[P, R]: ...
    def __get__(self, client: SyncClient | None, owner: type[SyncClient]) -> Self | Callable[P, R]:
        if client is None:
            return self

        @functools.wraps(self._operation)
        def method(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return _run(client._transport, self._operation(*args, **kwargs))  # noqa: SLF001
            except BaseException as error:
                folded(error)
                raise

        return method


class _Awaiting(Generic[P, R]):
    """Turns an operation into an async method."""

    def __init__(self, operation: Callable[P, Operation[R]]) -> None:
        self._operation = operation
        self.__doc__ = operation.__doc__

    @overload
    def __get__(self, client: None, owner: type[AsyncClient]) -> Self: ...
    @overload
    def __get__(
        self, client: AsyncClient, owner: type[AsyncClient]
    ) -> Callable[P, Coroutine[Any, Any, R]]: ...
    def __get__(
        self, client: AsyncClient | None, owner: type[AsyncClient]
    ) -> Self | Callable[P, Coroutine[Any, Any, R]]:
        if client is None:
            return self

        @functools.wraps(self._operation)
        async def method(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return await _run_async(client._transport, self._operation(*args, **kwargs))  # noqa: SLF001
            except BaseException as error:
                folded(error)
                raise

        return method


class SyncClient:
    """The blocking client, from ``with get_client() as client``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    create_concurrency_limit = _Blocking(operations.create_concurrency_limit)
    read_concurrency_limit_by_tag = _Blocking(operations.read_concurrency_limit_by_tag)
    read_concurrency_limit = _Blocking(operations.read_concurrency_limit)
    read_concurrency_limits = _Blocking(operations.read_concurrency_limits)
    delete_concurrency_limit_by_tag = _Blocking(operations.delete_concurrency_limit_by_tag)
    reset_concurrency_limit_by_tag = _Blocking(operations.reset_concurrency_limit_by_tag)
    read_slot_waiters = _Blocking(operations.read_slot_waiters)
    read_flow_run = _Blocking(operations.read_flow_run)
    read_flow_runs = _Blocking(operations.read_flow_runs)
    read_flow_run_states = _Blocking(operations.read_flow_run_states)
    read_task_run = _Blocking(operations.read_task_run)
    read_task_runs = _Blocking(operations.read_task_runs)
    read_task_run_states = _Blocking(operations.read_task_run_states)
    explain_task_run = _Blocking(operations.explain_task_run)
    read_logs = _Blocking(operations.read_logs)
    lookup_cache = _Blocking(operations.lookup_cache)
    read_cache_entries = _Blocking(cache_operations.read_cache_entries)
    invalidate_cache = _Blocking(cache_operations.invalidate_cache)
    read_cache_stats = _Blocking(cache_operations.read_cache_stats)


class AsyncClient:
    """The async client, from ``async with get_client() as client``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    create_concurrency_limit = _Awaiting(operations.create_concurrency_limit)
    read_concurrency_limit_by_tag = _Awaiting(operations.read_concurrency_limit_by_tag)
    read_concurrency_limit = _Awaiting(operations.read_concurrency_limit)
    read_concurrency_limits = _Awaiting(operations.read_concurrency_limits)
    delete_concurrency_limit_by_tag = _Awaiting(operations.delete_concurrency_limit_by_tag)
    reset_concurrency_limit_by_tag = _Awaiting(operations.reset_concurrency_limit_by_tag)
    read_slot_waiters = _Awaiting(operations.read_slot_waiters)
    read_flow_run = _Awaiting(operations.read_flow_run)
    read_flow_runs = _Awaiting(operations.read_flow_runs)
    read_flow_run_states = _Awaiting(operations.read_flow_run_states)
    read_task_run = _Awaiting(operations.read_task_run)
    read_task_runs = _Awaiting(operations.read_task_runs)
    read_task_run_states = _Awaiting(operations.read_task_run_states)
    explain_task_run = _Awaiting(operations.explain_task_run)
    read_logs = _Awaiting(operations.read_logs)
    lookup_cache = _Awaiting(operations.lookup_cache)
    read_cache_entries = _Awaiting(cache_operations.read_cache_entries)
    invalidate_cache = _Awaiting(cache_operations.invalidate_cache)
    read_cache_stats = _Awaiting(cache_operations.read_cache_stats)


class Client:
    """A client that is not entered yet: enter it with ``with`` or ``async with``.

    Leaving the block does not close the connection, which the whole process shares; it is closed at exit.
    """

    if not TYPE_CHECKING:  # type checkers already report attributes that do not exist

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_") or not hasattr(SyncClient, name):
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            raise AttributeError(
                f"{name}() was called on get_client() itself; enter it first: "
                f"`with get_client() as client: client.{name}(...)`, or in async code "
                f"`async with get_client() as client: await client.{name}(...)`"
            )

    def __enter__(self) -> SyncClient:
        try:
            return SyncClient(connect())
        except BaseException as error:
            folded(error)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave the block; the connection stays open."""

    async def __aenter__(self) -> AsyncClient:
        import asyncio  # noqa: PLC0415 - an async caller has loaded it already

        # Opening the embedded database takes milliseconds and must not block the caller's event loop.
        transport = current_transport()
        try:
            return AsyncClient(await asyncio.to_thread(connect) if transport is None else transport)
        except BaseException as error:
            folded(error)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave the block; the connection stays open."""


def get_client() -> Client:
    """Return a client for the configured service: a server, or the engine embedded in this process.

    Enter it with ``with`` for blocking methods, or with ``async with`` for async ones. Entering it raises
    ``InvalidSetting`` for a wrong setting; a method raises ``ServerUnavailable`` if the service cannot be
    reached.
    """
    return Client()


def _run(transport: Transport, operation: Operation[R]) -> R:
    with shielded():
        attempt = current_attempt()
        if attempt is not None:  # a flow must be able to read what its own tasks have just done
            attempt.await_answers()
        try:
            call = next(operation)
            while True:
                response = transport.call(call.method, call.request)
                wait_told(response)
                call = operation.send(response.result())
        except StopIteration as end:
            result: R = end.value
            return result


async def _run_async(transport: Transport, operation: Operation[R]) -> R:
    import asyncio  # noqa: PLC0415 - as above

    attempt = current_attempt()
    if attempt is not None:
        await attempt.await_answers_async()
    try:
        call = next(operation)
        while True:
            call = operation.send(await asyncio.wrap_future(transport.call(call.method, call.request)))
    except StopIteration as end:
        result: R = end.value
        return result
