"""Outages of the server: one warning when it is lost, and one when it is back."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import Final

from clearway._base.spans import span
from clearway.exceptions import ServerUnavailable

_log = logging.getLogger("clearway.transport")

_DOUBT_SECONDS: Final = 1.0
_RECENT_SECONDS: Final = 10.0

_away: Outage | None = None
_last: tuple[float, float] | None = None  # when the last one ended, and how long it took, in seconds


class Outage:
    """The outage of a server that was reached before. Used on the I/O thread's loop only.

    A connection that is restored at once is not an outage: servers close old connections.
    """

    def __init__(
        self,
        address: str,
        patience: float,
        call_later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        """Start without an outage.

        Args:
            address: The server's ``host:port``.
            patience: How many seconds requests wait for the server.
            call_later: Calls a function after some seconds, on the loop.
        """
        self._address = address
        self._patience = patience
        self._call_later = call_later
        self._since: float | None = None
        self._why = ""
        self._is_said = False

    def failed(self, why: str) -> None:
        """Note that the server was lost, or that another attempt to reach it has failed."""
        self._why = why
        if self._since is None:
            since = self._since = time.monotonic()
            self._call_later(_DOUBT_SECONDS, lambda: self._say(since))
        else:
            self._say(self._since)

    def reached(self) -> None:
        """Note that the server was reached."""
        global _away, _last
        if self._since is None:
            return
        seconds, was_said = self.seconds, self._is_said
        self._since, self._is_said = None, False
        if was_said:
            _away, _last = None, (time.monotonic(), seconds)
            _log.warning("the server at %s is back after %s", self._address, span(seconds))

    @property
    def seconds(self) -> float:
        """How long the server has been unreachable; 0 if it is not."""
        return 0.0 if self._since is None else time.monotonic() - self._since

    @property
    def is_over_patience(self) -> bool:
        """Whether requests no longer wait for the server."""
        return self.seconds >= self._patience

    def __str__(self) -> str:
        """Describe how long the server has been unreachable, and how long requests wait for it."""
        waits = "no longer waited for after" if self.is_over_patience else "waited for up to"
        return (
            f"{self._address} away for {span(self.seconds)}, "
            f"{waits} {self._patience:g} s (CLEARWAY_RECONNECT_TIMEOUT)"
        )

    def error(self) -> ServerUnavailable:
        """Return the exception for requests that waited too long for the server."""
        return ServerUnavailable(
            f"the Clearway server at {self._address} was lost {span(self.seconds)} ago and has not come "
            f"back: {self._why}. It is waited for up to {self._patience:g} s (the setting "
            "CLEARWAY_RECONNECT_TIMEOUT)"
        )

    def close(self) -> None:
        """Forget the server: its connection is closed."""
        global _away  # noqa: PLW0603 - as above
        self._since, self._is_said = None, False
        if _away is self:
            _away = None

    def _say(self, since: float) -> None:
        global _away  # noqa: PLW0603 - as above
        if self._is_said or self._since != since:
            return
        self._is_said = True
        _away = self
        _log.warning(
            "lost the server at %s: %s; waiting for it for up to %g s (CLEARWAY_RECONNECT_TIMEOUT)",
            self._address,
            self._why,
            self._patience,
        )


def current_outage() -> Outage | None:
    """Return the current outage of this process's server, or None. Any thread may call this."""
    return _away


def recent_outage() -> float | None:
    """Return the length of an outage that has just ended, in seconds; else None. Any thread may call this."""
    last = _last
    return last[1] if last is not None and time.monotonic() - last[0] < _RECENT_SECONDS else None


def _after_fork_in_child() -> None:
    global _away, _last  # noqa: PLW0603 - one per process
    _away = _last = None


os.register_at_fork(after_in_child=_after_fork_in_child)
