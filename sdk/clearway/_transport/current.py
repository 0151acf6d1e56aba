"""The way to the service, whether it is a server or the engine embedded in this process."""

from __future__ import annotations

import atexit
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final, Protocol

from clearway._base.settings import get_settings
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


def open_transport() -> Transport:
    """Return a new transport to the service that the settings name.

    Raises:
        InvalidSetting: A setting's value is not allowed.
        ServiceError: The embedded engine cannot be opened.
        ForkedProcess: This process was forked from one that had a connection to a server.
    """
    settings = get_settings()
    if settings.address is None:
        from clearway._transport.embedded import EmbeddedTransport  # noqa: PLC0415 - loads the service

        return EmbeddedTransport(settings.database)
    from clearway._transport.server import GrpcTransport  # noqa: PLC0415 - loads gRPC

    return GrpcTransport(settings.address, settings.reconnect_timeout)


def hello() -> Hello:
    """Return how this process introduces itself."""
    from clearway.v1.proposal_pb2 import Hello  # noqa: PLC0415 - messages are loaded when first needed

    return Hello(
        client_name=f"{socket.gethostname()}:{os.getpid()}"[:255],
        language="python",
        version=VERSION,
    )


_log = logging.getLogger("clearway.transport")

_HURRY_SECONDS: Final = 30.0

_hurried = -_HURRY_SECONDS
_lock = threading.Lock()
_transport: Transport | None = None
_last_words: list[Callable[[], None]] = []
_on_loss: list[Callable[[frozenset[str]], None]] = []


def connect() -> Transport:
    """Return this process's transport, opened when asked for the first time and closed at exit.

    Raises:
        InvalidSetting: A setting's value is not allowed.
        ServiceError: The embedded engine cannot be opened.
        ForkedProcess: This process was forked from one that had a connection to a server.
    """
    global _transport  # noqa: PLW0603 - one per process
    transport = _transport
    if transport is None:
        with _lock:
            if _transport is None:
                _transport = open_transport()
            transport = _transport
    return transport


def current_transport() -> Transport | None:
    """Return this process's transport if it is open."""
    return _transport


def before_disconnect(function: Callable[[], None]) -> None:
    """Have a function called each time before this process's transport is closed."""
    _last_words.append(function)


def when_runs_are_lost(function: Callable[[frozenset[str]], None]) -> None:
    """Have a function called with the runs that ended because the service took this process for dead.

    It is called on the transport's thread, and must be quick.
    """
    _on_loss.append(function)


def runs_lost(run_ids: frozenset[str]) -> None:
    """Tell of flow runs and task runs that were Running under a session that has ended."""
    for function in _on_loss if run_ids else ():
        function(run_ids)


def disconnect() -> None:
    """Close this process's transport, if it is open. The next ``connect()`` opens another."""
    global _transport
    if _transport is not None:
        for function in _last_words:
            function()
    with _lock:
        transport, _transport = _transport, None
    if transport is not None:
        transport.close()


def exchange_transport(transport: Transport | None) -> Transport | None:
    """Make another transport this process's own; return the one before, still open. For tests."""
    global _transport
    if _transport is not None:
        for function in _last_words:
            function()
    with _lock:
        before, _transport = _transport, transport
    return before


def hurry() -> None:
    """Note that the user was asked to wait and would not: the exit of this process is not to wait either."""
    global _hurried  # noqa: PLW0603 - one per process
    _hurried = time.monotonic()


def _at_exit() -> None:
    if time.monotonic() - _hurried < _HURRY_SECONDS:
        return
    try:
        disconnect()
    except KeyboardInterrupt:
        _log.warning("interrupted while the connection was being closed; what was not sent by then is lost")


def _after_fork_in_child() -> None:
    # What the parent opened stays the parent's: the child has none of its threads, and must not use its
    # sockets or database connections. It is kept from being collected, since that would close them.
    global _transport, _lock, _inherited  # noqa: PLW0603 - one per process
    _inherited = _transport
    _lock = threading.Lock()
    _transport = None
    _last_words.clear()


_inherited: Transport | None = None

atexit.register(_at_exit)
os.register_at_fork(after_in_child=_after_fork_in_child)
