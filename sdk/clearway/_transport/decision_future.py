"""The future of a proposal's decision."""

from __future__ import annotations

import logging
from _thread import allocate_lock
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from clearway.v1.proposal_pb2 import Decision

R_co = TypeVar("R_co", covariant=True)

_log = logging.getLogger("clearway.transport")


class Answered(Protocol[R_co]):
    """The part of ``concurrent.futures.Future`` that a ``DecisionFuture`` also has."""

    def done(self) -> bool:
        """Return whether a result, an exception or a cancellation has arrived."""
        ...

    def result(self, timeout: float | None = None) -> R_co:
        """Return the result, or raise the exception."""
        ...

    def add_done_callback(self, fn: Callable[[Any], object], /) -> None:
        """Call ``fn`` with this future when it is done; at once if it is."""
        ...


class DecisionFuture:
    """A decision that is yet to come; a lighter ``concurrent.futures.Future``.

    Two are made for each task. The standard class has a condition with a lock and a queue, which would cost
    more than the rest of a proposal.
    """

    __slots__ = ("_callback", "_callbacks", "_cancelled", "_decision", "_done", "_error", "_guard")

    def __init__(self) -> None:
        self._guard = allocate_lock()
        self._done = False
        self._callback: Callable[[DecisionFuture], object] | None = None  # most have only one
        self._callbacks: tuple[Callable[[DecisionFuture], object], ...] = ()  # the others
        self._decision: Decision | None = None
        self._error: BaseException | None = None
        self._cancelled = False

    # For the transport.

    def resolve(self, decision: Decision) -> bool:
        """Set the decision; return False if it was done already."""
        return self._settle(decision, None)

    def fail(self, error: BaseException) -> bool:
        """Set an exception; return False if it was done already."""
        return self._settle(None, error)

    def cancel(self) -> bool:
        """Cancel it; return False if it was done already."""
        return self._settle(None, None)

    def _settle(self, decision: Decision | None, error: BaseException | None) -> bool:
        with self._guard:
            if self._done:
                return False
            self._decision, self._error = decision, error
            self._cancelled = decision is None and error is None
            self._done = True
            first, self._callback = self._callback, None
            others, self._callbacks = self._callbacks, ()
        if first is not None:
            self._call(first)
        for callback in others:
            self._call(callback)
        return True

    # For waiters.

    def done(self) -> bool:
        """Return whether it has a decision or an exception, or was cancelled."""
        return self._done

    def cancelled(self) -> bool:
        """Return whether it was cancelled."""
        return self._cancelled

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for it, and return its exception, or None if it has a decision; raises as ``result``."""
        self._wait(timeout)
        if self._cancelled:
            raise CancelledError
        return self._error

    def result(self, timeout: float | None = None) -> Decision:
        """Wait for the decision, and return it.

        Raises:
            TimeoutError: It did not arrive within ``timeout`` seconds.
            CancelledError: The proposal was withdrawn.
            BaseException: The exception set in its place.
        """
        self._wait(timeout)
        if self._decision is not None:
            return self._decision
        if self._error is not None:
            try:
                raise self._error
            finally:
                self = None  # type: ignore[assignment]  # noqa: PLW0642 - the traceback must not hold it
        raise CancelledError

    def _wait(self, timeout: float | None) -> None:
        if self._done:
            return
        lock = allocate_lock()
        lock.acquire()
        self.add_done_callback(lambda _: lock.release())
        if not lock.acquire(timeout=-1 if timeout is None else max(timeout, 0.0)):
            raise TimeoutError

    def add_done_callback(self, fn: Callable[[DecisionFuture], object], /) -> None:
        """Call ``fn`` with this future, on the thread that completes it; at once if it is done."""
        with self._guard:
            if not self._done:
                if self._callback is None:
                    self._callback = fn
                else:
                    self._callbacks = (*self._callbacks, fn)
                return
        self._call(fn)

    def _call(self, callback: Callable[[DecisionFuture], object]) -> None:
        try:
            callback(self)
        except Exception:  # noqa: BLE001 - must not affect other callbacks
            _log.exception("the callback of a decision failed")
