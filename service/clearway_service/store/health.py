"""The store's health: whether it accepts transactions, and the listeners for changes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

# A store that alternately fails and succeeds, as on a disk with a few kilobytes left, stays unhealthy until
# it has not failed for this long. That bounds the log lines, and how often a load balancer changes its mind.
_SETTLE_SECONDS = 0.4

# Called with whether the store is healthy, on the thread that noticed. Must return quickly and never raise.
Listener = Callable[[bool], None]


class Health:
    """Whether a store accepts transactions. Safe for use by several threads.

    A change is logged in one line, without a traceback: a failing store fails for every transaction.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: list[Listener] = []
        self._fault = ""
        self._lasting = False
        self._since = self._last_failure = 0.0

    @property
    def fault(self) -> str:
        """Why the store accepts no transactions; empty while it does."""
        return self._fault

    @property
    def lasting(self) -> bool:
        """Whether the fault stays until the store is opened again, as that of a damaged file does."""
        return self._lasting

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` now and at each change; return a function that unsubscribes it."""
        with self._lock:
            self._listeners.append(listener)
            listener(not self._fault)

        def unsubscribe() -> None:
            with self._lock:
                self._listeners.remove(listener)

        return unsubscribe

    def failed(self, fault: str, *, lasting: bool = False) -> None:
        """Note that the store did not accept a transaction, or would not.

        Args:
            fault: Why. It is logged, so it must hold nothing that a client sent.
            lasting: Whether no later transaction can end it.
        """
        with self._lock:
            self._last_failure = time.monotonic()
            if self._lasting:
                return
            changed, self._fault, self._lasting = not self._fault or lasting, fault, lasting
            if changed:
                self._since = self._last_failure
                logger.error("the store accepts no transactions: %s", fault)
                self._notify()

    def committed(self) -> None:
        """Note that the store accepted a transaction."""
        if not self._fault or self._lasting:
            return
        with self._lock:
            now = time.monotonic()
            if self._fault and now - self._last_failure >= _SETTLE_SECONDS:
                self._fault = ""
                logger.warning("the store accepts transactions again, after %.1f s", now - self._since)
                self._notify()

    def _notify(self) -> None:
        for listener in self._listeners:
            listener(not self._fault)
