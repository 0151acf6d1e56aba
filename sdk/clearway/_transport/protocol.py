"""The way to the service, whether it is a server or the engine embedded in this process."""

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
    """Carries proposals and calls to the service. All methods may be used by any thread."""

    def propose(
        self, proposal: Proposal, on_wait: Callable[[Decision], None] | None = None
    ) -> DecisionFuture:
        """Send a proposal; return at once.

        Args:
            proposal: With an id of its own.
            on_wait: Told of a wait in the service's queue, which is not the final decision: that follows by
                itself.

        Returns:
            The final decision: accept, reject, abort, or a wait with ``retry_after``. Its exception is one of
            ``ServiceError`` (ServerUnavailable after the server was away too long), or ``ClientClosed``.
            Its callbacks, and ``on_wait``, run on the transport's thread, and must be quick.
        """
        ...

    def withdraw(self, proposal_id: str) -> None:
        """Give up a proposal that waits: its future is cancelled at once, and the service forgets it.

        The decision may be under way already. So propose a terminal state for the run afterwards: it frees
        whatever the withdrawn proposal may have been given.
        """
        ...

    def note_await(self, task_run_id: str, awaited_task_run_id: str) -> None:
        """Tell the service that a task run's code waits for another run, so that this can be explained.

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
            The response message, or one of ``ServiceError`` or ``ClientClosed`` as the future's exception.
        """
        ...

    def close(self) -> None:
        """Let what was sent be answered, end the session, and fail all that is left with ``ClientClosed``."""
        ...


def hello() -> Hello:
    """Return how this process introduces itself."""
    from clearway.v1.proposal_pb2 import Hello  # noqa: PLC0415 - messages are loaded when first needed

    return Hello(
        client_name=f"{socket.gethostname()}:{os.getpid()}"[:255],
        language="python",
        version=VERSION,
    )
