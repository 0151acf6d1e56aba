"""The decision that a proposal will have."""

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
    """What a ``concurrent.futures.Future`` and a ``DecisionFuture`` have in common."""

    def done(self) -> bool:
        """Return whether there is anything to come no more."""
        ...

    def result(self, timeout: float | None = None) -> R_co:
        """Return what came, or raise it."""
        ...

    def add_done_callback(self, fn: Callable[[Any], object], /) -> None:
        """Call ``fn`` with this when it is done, at once where it is."""
        ...


class DecisionFuture:
    """A decision that is to come. Used as ``concurrent.futures.Future`` is.

    It is another class since two are made for each task: that one has a condition with a lock and a queue,
    which cost more than all the rest of a proposal.
    """

    __slots__ = ("_callback", "_callbacks", "_cancelled", "_decision", "_done", "_error", "_guard")

    def __init__(self) -> None:
        self._guard = allocate_lock()
        self._done = False
        self._callback: Callable[[DecisionFuture], object] | None = None  # most have but one
        self._callbacks: tuple[Callable[[DecisionFuture], object], ...] = ()  # the others
        self._decision: Decision | None = None
        self._error: BaseException | None = None
        self._cancelled = False

    # Who makes it come.

    def resolve(self, decision: Decision) -> bool:
        """Set the decision; return whether there was nothing before."""
        return self._settle(decision, None)

    def fail(self, error: BaseException) -> bool:
        """Set an exception in the decision's place; return whether there was nothing before."""
        return self._settle(None, error)

    def cancel(self) -> bool:
        """Let nothing come any more; return whether nothing had."""
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

    # Who waits for it.

    def done(self) -> bool:
        """Return whether there is anything to come no more."""
        return self._done

    def cancelled(self) -> bool:
        """Return whether it was cancelled."""
        return self._cancelled

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return the exception that came in the decision's place, if one did; raises as ``result``."""
        self._wait(timeout)
        if self._cancelled:
            raise CancelledError
        return self._error

    def result(self, timeout: float | None = None) -> Decision:
        """Return the decision, waiting for it where need be.

        Raises:
            TimeoutError: It did not come within ``timeout`` seconds.
            CancelledError: It will not come, for the proposal was withdrawn.
            BaseException: What came in its place.
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
        """Call ``fn`` with this, by the thread that makes it done; at once where it is done already."""
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
        except Exception:  # noqa: BLE001 - who waits for others must not suffer
            _log.exception("what was to be told of a decision failed")
