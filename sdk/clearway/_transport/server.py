"""The transport to a server: one channel, one stream, one background thread."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TYPE_CHECKING, Final

from clearway._base.io_thread import get_io_thread
from clearway._transport.channel import GrpcChannel
from clearway._transport.stream import ProposalStream
from clearway.exceptions import ClientClosed, ForkedProcess

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from clearway._transport.decision_future import DecisionFuture
    from clearway.v1.proposal_pb2 import Decision, Proposal

_log = logging.getLogger("clearway.transport")

_CLOSE_TIMEOUT: Final = 15.0

_grpc_used_by = 0
"""The id of the process that first used gRPC; 0 before."""


def _refuse_after_fork() -> None:
    # gRPC's threads do not exist in a forked child, which would hang or crash without a message.
    global _grpc_used_by  # noqa: PLW0603 - one per process
    _grpc_used_by = _grpc_used_by or os.getpid()
    if _grpc_used_by != os.getpid():
        raise ForkedProcess(
            "this process was forked from one that talks to a Clearway server, and gRPC cannot be "
            'used in it; start it with multiprocessing.get_context("spawn") instead, '
            "or fork before the first flow runs"
        )


class GrpcTransport:
    """A transport to a server. Connects on first use, so an unreachable server fails the first call."""

    def __init__(self, address: str, reconnect_timeout: float) -> None:
        """Make it.

        Args:
            address: The server's ``host:port``.
            reconnect_timeout: How many seconds a server that was reached before may be unreachable.
        """
        _refuse_after_fork()
        self._io = get_io_thread()
        self._address = address
        self._closed = False
        self._lock = threading.Lock()
        self._channel = GrpcChannel(address, reconnect_timeout)
        self._stream = ProposalStream(self._channel, self._io, reconnect_timeout)

    def propose(
        self, proposal: Proposal, on_wait: Callable[[Decision], None] | None = None
    ) -> DecisionFuture:
        """See ``Transport.propose``."""
        entry = self._stream.pending.add(proposal, on_wait)
        if self._closed:  # checked after adding: closing fails everything that was added before
            self._stream.pending.fail(entry, self._closed_error())
        else:
            self._stream.send(entry)
        return entry.future

    def withdraw(self, proposal_id: str) -> None:
        """See ``Transport.withdraw``."""
        entry = self._stream.pending.withdraw(proposal_id)
        if entry is not None and not self._closed:
            self._stream.withdraw(entry)

    def note_await(self, task_run_id: str, awaited_task_run_id: str) -> None:
        """See ``Transport.note_await``."""
        if not self._closed:
            self._stream.note_await(task_run_id, awaited_task_run_id)

    def call(self, method: str, request: Message, timeout: float | None = None) -> Future[Message]:
        """See ``Transport.call``."""
        return self._io.submit(self._call(method, request, timeout))

    def close(self) -> None:
        """See ``Transport.close``."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        closing = self._io.submit(self._close())
        if self._io.is_current():
            return
        try:
            closing.result(_CLOSE_TIMEOUT)
        except FutureTimeoutError:
            _log.warning("the connection to %s did not close in time", self._address)

    async def _call(self, method: str, request: Message, seconds: float | None) -> Message:
        if self._closed:
            raise self._closed_error()
        return await self._channel.call(method, request, seconds)

    async def _close(self) -> None:
        try:
            await self._stream.close()
        finally:
            self._stream.pending.fail_all(self._closed_error)
            await self._channel.close()

    def _closed_error(self) -> ClientClosed:
        return ClientClosed(
            f"the connection to {self._address} was closed; nothing more can be proposed or asked"
        )
