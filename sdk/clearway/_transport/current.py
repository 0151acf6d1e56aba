"""This process's transport: opened on first use, closed at exit."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from clearway._base.settings import get_settings, unknown_variables

if TYPE_CHECKING:
    from clearway._transport.protocol import Transport


def open_transport() -> Transport:
    """Return a new transport to the service given by the settings.

    Raises:
        InvalidSetting: A setting's value is not allowed.
        ServiceError: The embedded engine cannot be opened.
        ForkedProcess: This process was forked from one that had a connection to a server.
    """
    settings = get_settings()
    for warning in unknown_variables():
        _log.warning("%s", warning)
    if settings.address is None:
        from clearway._transport.embedded import EmbeddedTransport  # noqa: PLC0415 - loads the service

        return EmbeddedTransport(settings.database)
    from clearway._transport.server import GrpcTransport  # noqa: PLC0415 - loads gRPC

    return GrpcTransport(settings.address, settings.reconnect_timeout)


_log = logging.getLogger("clearway.transport")

_HURRY_SECONDS: Final = 30.0

_hurried = -_HURRY_SECONDS
_lock = threading.Lock()
_transport: Transport | None = None
_last_words: list[Callable[[], None]] = []


def connect() -> Transport:
    """Return this process's transport; opens it on first use, and closes it at exit.

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
    """Register a function that is called each time before this process's transport is closed."""
    _last_words.append(function)


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
    """Replace this process's transport; return the previous one, still open. For tests."""
    global _transport
    if _transport is not None:
        for function in _last_words:
            function()
    with _lock:
        before, _transport = _transport, transport
    return before


def hurry() -> None:
    """Note that the user interrupted a wait: the process's exit will not wait either."""
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
    # The parent's transport stays the parent's: the child has none of its threads, and must not use its
    # sockets or database connections. A reference is kept, since collecting the object would close them.
    global _transport, _lock, _inherited  # noqa: PLW0603 - one per process
    _inherited = _transport
    _lock = threading.Lock()
    _transport = None
    _last_words.clear()


_inherited: Transport | None = None

atexit.register(_at_exit)
os.register_at_fork(after_in_child=_after_fork_in_child)
