"""Calling the hooks of a flow or task."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from concurrent.futures import Future as ConcurrentFuture
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clearway._waiting.sigint import unshielded, wait_told
from clearway.exceptions import ClearwayError
from clearway.states import State

if TYPE_CHECKING:
    from clearway._definition.hooks import Hooked
    from clearway._execution.loops import LoopThread
    from clearway.logging import RunLogger


_CLOSE_SECONDS = 10.0


@dataclass(slots=True)
class CallHooks:
    """Call the hooks for a state that a run has entered. Their exceptions are logged and have no effect.

    Attributes:
        owner: The flow or task.
        state: The state.
        ask: Requests the run from the service.
        read: Converts the response to the run that hooks are given.
        entered: A context manager in which the run is the current one.
        loop_thread: Returns the loop thread for async hooks; None if the flow run never began.
        log: Returns the run's logger.
    """

    owner: Hooked
    state: State[Any]
    ask: Callable[[], ConcurrentFuture[Any]]
    read: Callable[[Any, State[Any]], Any]
    entered: Callable[[], AbstractContextManager[Any]]
    loop_thread: Callable[[], LoopThread] | None
    log: Callable[[], RunLogger]

    def block(self) -> Any:
        """Call the hooks in this thread; async ones on an event loop beside it."""
        try:
            run = self.known()
        except ClearwayError as error:
            self._not_called(error)
            return
        for hook in self.owner.hooks_for(self.state):
            try:
                self.call(hook, run)
            except Exception:  # noqa: BLE001 - the user's
                self._raised(hook)

    async def wait(self) -> Any:
        """Call the hooks; sync ones in another thread."""
        try:
            run = await self.known_async()
        except ClearwayError as error:
            self._not_called(error)
            return
        for hook in self.owner.hooks_for(self.state):
            try:
                await self.call_async(hook, run)
            except Exception:  # noqa: BLE001 - the user's
                self._raised(hook)

    def known(self) -> Any:
        """Return the run as the service has it.

        Raises:
            ClearwayError: The service was unreachable or refused the request.
        """
        answer = self.ask()
        wait_told(answer)
        return self.read(answer.result(), self.state)

    async def known_async(self) -> Any:
        """Do the same as ``known`` in a coroutine; raises as ``known``."""
        from clearway._waiting.loop_calls import settled  # noqa: PLC0415 - sync flows need no asyncio

        return self.read(await settled(self.ask()), self.state)

    def call(self, function: Callable[..., Any], run: Any) -> Any:
        """Call a user's function, and return what it returns.

        Raises:
            Exception: What it raises.
        """
        with unshielded(), self.entered():
            called = function(self.owner, run, self.state)
            return self._block_on(called) if inspect.iscoroutine(called) else called

    async def call_async(self, function: Callable[..., Any], run: Any) -> Any:
        """Call a user's function, in another thread if it is sync; raises as ``call``."""
        import asyncio  # noqa: PLC0415 - sync flows need no asyncio

        with self.entered():
            if inspect.iscoroutinefunction(function):
                return await function(self.owner, run, self.state)
            called = await asyncio.to_thread(function, self.owner, run, self.state)
            return await called if inspect.iscoroutine(called) else called

    def _block_on(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run an async hook on a loop beside the flow, since the flow's own loop may be blocked."""
        if self.loop_thread is not None:
            done = self.loop_thread().submit(coroutine)
            wait_told(done)
        else:
            from clearway._execution.loops import LoopThread  # noqa: PLC0415 - loads asyncio

            loop_thread = LoopThread("clearway-hooks")
            done = loop_thread.submit(coroutine)
            wait_told(done)
            loop_thread.close(_CLOSE_SECONDS)
        return done.result()

    def _raised(self, hook: Callable[..., Any]) -> None:
        self.log().exception(
            "the hook %s raised an exception, which does not change the run's state: %s",
            getattr(hook, "__name__", repr(hook)),
            self.state.name,
        )

    def _not_called(self, error: ClearwayError) -> None:
        self.log().error(
            "no hooks were called for %s: the service could not be asked: %s", self.state.name, error
        )
