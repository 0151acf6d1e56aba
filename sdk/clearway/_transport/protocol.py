"""The interface to the service, be it a server or the engine embedded in this process."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol

from clearway._base.version import VERSION

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from clearway._transport.decision_future import DecisionFuture
    from clearway.v1.proposal_pb2 import Decision, Hello, Proposal


class Transport(Protocol):
    """Carries proposals and calls to the service. Any thread may use it."""

    def propose(
        self, proposal: Proposal, on_wait: Callable[[Decision], None] | None = None
    ) -> DecisionFuture:
        """Send a proposal, and return at once.

        Args:
            proposal: A proposal with an id of its own.
            on_wait: Called when the service queues the proposal. That is not the final decision, which
                follows without further calls.

        Returns:
            A future of the final decision: accept, reject, abort, or a wait with ``retry_after``. It may fail
            with a ``ServiceError`` (``ServerUnavailable`` after the server was unreachable for too long) or
            ``ClientClosed``. Its callbacks, and ``on_wait``, run on the transport's thread and must be quick.
        """
        ...

    def withdraw(self, proposal_id: str) -> None:
        """Withdraw a queued proposal: its future is cancelled at once, and the service drops it.

        The decision may already be on its way. Therefore propose a terminal state for the run afterwards:
        that releases whatever the withdrawn proposal may have been granted.
        """
        ...

    def note_await(self, task_run_id: str, awaited_task_run_id: str) -> None:
        """Report that a task run's code waits for another run, so that the service can explain a deadlock.

        Args:
            task_run_id: The run whose code waits.
            awaited_task_run_id: The run it waits for; empty when it no longer waits.
        """
        ...

    def call(self, method: str, request: Message, timeout: float | None = None) -> Future[Message]:
        """Make a unary call.

        Args:
            method: The name of the RPC, such as ``GetFlowRun``.
            request: Its request message.
            timeout: Seconds after which the call fails with ``ServerUnavailable``.

        Returns:
            A future of the response. It may fail with a ``ServiceError`` or ``ClientClosed``.
        """
        ...

    def close(self) -> None:
        """Wait for outstanding decisions, end the session, and fail the rest with ``ClientClosed``."""
        ...


def hello() -> Hello:
    """Return the message that introduces this process to the service."""
    from clearway.v1.proposal_pb2 import Hello  # noqa: PLC0415 - messages are loaded when first needed

    return Hello(
        client_name=f"{socket.gethostname()}:{os.getpid()}"[:255],
        language="python",
        version=VERSION,
    )
