"""Futures: handles to submitted task runs, returned by ``.submit()`` and ``.map()``."""
# ruff: noqa: ASYNC109 - the async methods take the same ``timeout`` as the sync ones

from __future__ import annotations

import threading
import warnings
from _thread import allocate_lock
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar, cast, overload

from clearway._base.tracebacks import folded
from clearway._waiting.awaits import awaiting
from clearway._waiting.blocked_loop import refuse_deadlock, running_loop, wait_on_loop
from clearway._waiting.sigint import shielded, wait_for_lock
from clearway.exceptions import Deadlock

if TYPE_CHECKING:
    import asyncio

    from clearway.states import State

R = TypeVar("R", covariant=True)  # noqa: PLC0105 - short, as in every signature

_guard = threading.Lock()  # held for a few instructions only, so one lock for all futures is enough


class Source(Protocol):
    """The run behind a future."""

    def state_now(self) -> State[Any]:
        """Return the run's latest state that this process knows of."""
        ...

    def own_loop(self) -> asyncio.AbstractEventLoop | None:
        """Return the event loop that the run's code runs on; None for code on a thread."""
        ...

    def held_up_on(self, loop: asyncio.AbstractEventLoop) -> str:
        """Return why the run cannot begin while an event loop is blocked; empty if it can, or has begun."""
        ...

    def waits_for(self) -> list[Future[Any]]:
        """Return the runs that must end before this one can start."""
        ...


class Future(Generic[R]):
    """A submitted task run: the base of ``TaskFuture`` and ``AsyncTaskFuture``.

    Attributes:
        task_run_id: The task run's UUID.
        name: The task run's display name.
    """

    __slots__ = ("__weakref__", "_callbacks", "_source", "_state", "name", "task_run_id")

    def __init__(self, task_run_id: str, name: str, source: Source) -> None:
        """Create a future that is not done.

        Args:
            task_run_id: The run's UUID.
            name: The run's name.
            source: The run; the future drops this reference when the run is done.
        """
        self.task_run_id = task_run_id
        self.name = name
        self._source: Source | None = source
        self._state: State[R] | None = None
        self._callbacks: list[Callable[[], None]] | None = None  # created for the first waiter

    def is_done(self) -> bool:
        """Return True if the run has ended, whether it completed or not."""
        return self._state is not None

    def __bool__(self) -> bool:
        """Return True, as for any object, with a warning that this says nothing about the run."""
        warnings.warn(
            f"the future of the task run {self.name!r} was used as a truth value, which is always True; "
            "use its result(), or get_state().is_completed(), or is_done()",
            stacklevel=2,
        )
        return True

    def __repr__(self) -> str:
        state = self._state
        return f"<{type(self).__name__} {self.name!r}: {'not done' if state is None else state}>"

    # For the engine.

    def settle(self, state: State[Any]) -> None:
        """Set the run's final state and wake all waiters. Later calls have no effect."""
        with _guard:
            if self._state is not None:
                return
            self._state = state
            self._source = None
            callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            callback()

    def when_done(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once, on the thread that ends the run; if the run is done, call it now."""
        with _guard:
            if self._state is None:
                if self._callbacks is None:
                    self._callbacks = []
                self._callbacks.append(callback)
                return
        callback()

    def current_state(self) -> State[Any]:
        """Return the run's latest state that this process knows of."""
        source = self._source
        return cast("State[Any]", self._state) if source is None else source.state_now()

    def block(self, timeout: float | None = None) -> bool:
        """Block until the run is done, for at most ``timeout`` seconds; return True if it is done.

        Raises:
            Deadlock: The run needs the event loop of this thread, or something that code on it holds (a slot,
                a cache key, a permit), so waiting would never end.
        """
        if self._state is not None:
            return True
        with shielded():
            loop = running_loop()
            if loop is not None:
                self._refuse_deadlock(loop)
            lock = allocate_lock()
            lock.acquire()
            self.when_done(lock.release)
            with awaiting(self.task_run_id):
                if loop is None:
                    done = wait_for_lock(lock, timeout)
                else:
                    done = wait_on_loop(
                        lock, timeout, partial(self._refuse_deadlock, loop, looks_further=True)
                    )
            if not done:
                with _guard:
                    if self._callbacks is not None:
                        self._callbacks.remove(lock.release)
            return self._state is not None

    def _refuse_deadlock(self, loop: asyncio.AbstractEventLoop, *, looks_further: bool = False) -> None:
        """Raise if the run, or one that it waits for, needs an event loop, which this thread blocks.

        Args:
            loop: The event loop.
            looks_further: Whether the service is asked what they wait for there.
        """
        waits_for: list[Future[Any]] = [self]
        seen: set[Future[Any]] = set()
        while waits_for:
            future = waits_for.pop()
            source = future._source  # noqa: SLF001 - of the same class
            if source is None or future in seen:
                continue
            seen.add(future)
            if source.own_loop() is loop:
                raise Deadlock(
                    f"waiting for the task run {self.name!r} here would never end: the async task run "
                    f"{future.name!r} needs the event loop, which this call would block; "
                    "await its future first"
                )
            if looks_further:
                refuse_deadlock(partial(source.held_up_on, loop))
            waits_for.extend(source.waits_for())

    async def wait_done(self, timeout: float | None = None) -> bool:
        """Wait until the run is done, for at most ``timeout`` seconds; return True if it is done."""
        import asyncio  # noqa: PLC0415 - only async flows need it, and they have loaded it already

        from clearway._waiting.loop_calls import call_soon, set_once  # noqa: PLC0415

        if self._state is not None:
            return True
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            call_soon(loop, set_once, waiter)

        self.when_done(wake)
        try:
            with awaiting(self.task_run_id):
                await asyncio.wait_for(waiter, timeout)
        except TimeoutError:
            return self._state is not None
        finally:
            with _guard:
                if self._callbacks is not None:
                    self._callbacks.remove(wake)
        return True

    def _result(self, *, raise_on_failure: bool) -> Any:
        state = cast("State[Any]", self._state)
        result = state.result(raise_on_failure)
        if result is not state.data and state.is_completed():
            self._was_read(result)
        return result

    def _was_read(self, result: Any) -> None:
        """Tell the flow which run produced a result that had to be read, such as a cached one."""
        from clearway.context import current_attempt  # noqa: PLC0415 - most results are in memory

        attempt = current_attempt()
        if attempt is not None:
            attempt.note_result(result, self.task_run_id)

    def _late(self, timeout: float | None) -> TimeoutError:
        return TimeoutError(
            f"the task run {self.name!r} is not done after {timeout:g} s; it is {self.current_state().name}"
        )


class TaskFuture(Future[R]):
    """A submitted task run in a sync flow, or of a sync task in an async flow; its methods block."""

    __slots__ = ()

    def wait(self, timeout: float | None = None) -> State[R] | None:
        """Wait until the run is done.

        Args:
            timeout: Seconds to wait at most; None, the default, waits without limit.

        Returns:
            The run's final state, or None if it was not done in time.

        Raises:
            Deadlock: The run needs the event loop that this call would block.
        """
        return self._state if self.block(timeout) else None

    @overload
    def result(self, timeout: float | None = None, raise_on_failure: Literal[True] = True) -> R: ...
    @overload
    def result(self, timeout: float | None = None, *, raise_on_failure: bool) -> R | BaseException: ...
    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> R | BaseException:
        """Wait until the run is done and return its result.

        Args:
            timeout: Seconds to wait at most; None, the default, waits without limit.
            raise_on_failure: If the run did not complete: True, the default, raises its exception, and False
                returns it.

        Raises:
            TimeoutError: The run was not done in time.
            Deadlock: The run needs the event loop that this call would block.
            UpstreamTaskError: The run never started, because something that it depends on did not complete.
            BaseException: Whatever the task's code raised, unchanged.
        """
        if not self.block(timeout):
            raise self._late(timeout)
        try:
            return cast("R | BaseException", self._result(raise_on_failure=raise_on_failure))
        except Exception as error:
            folded(error)
            raise

    def get_state(self) -> State[R]:
        """Return the run's latest state that this process knows of, without waiting."""
        return self.current_state()


class AsyncTaskFuture(Future[R]):
    """A submitted run of an async task in an async flow; its methods are awaited."""

    __slots__ = ()

    async def wait(self, timeout: float | None = None) -> State[R] | None:
        """Wait until the run is done; see ``TaskFuture.wait``."""
        return self._state if await self.wait_done(timeout) else None

    @overload
    async def result(self, timeout: float | None = None, raise_on_failure: Literal[True] = True) -> R: ...
    @overload
    async def result(self, timeout: float | None = None, *, raise_on_failure: bool) -> R | BaseException: ...
    async def result(
        self,
        timeout: float | None = None,
        raise_on_failure: bool = True,
    ) -> R | BaseException:
        """Wait until the run is done and return its result; see ``TaskFuture.result``."""
        if not await self.wait_done(timeout):
            raise self._late(timeout)
        try:
            return cast("R | BaseException", self._result(raise_on_failure=raise_on_failure))
        except Exception as error:
            folded(error)
            raise

    async def get_state(self) -> State[R]:
        """Return the run's latest state that this process knows of, without waiting."""
        return self.current_state()
