"""Calling the hooks of a flow or task."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from concurrent.futures import Future as ConcurrentFuture
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clearway._engine.farewell import wait_told
from clearway._interrupts import unshielded
from clearway.exceptions import ClearwayError
from clearway.states import State

if TYPE_CHECKING:
    from clearway._engine.scope import FlowScope
    from clearway._hooks import Hooked
    from clearway.logging import RunLogger


_CLOSE_SECONDS = 10.0


@dataclass(slots=True)
class CallHooks:
    """Call the hooks for a state that a run has entered. What they raise is logged and changes nothing.

    Attributes:
        owner: The flow or task.
        state: The state.
        ask: Asks the service about the run.
        read: Makes the run of the answer.
        entered: Makes the run the one that the hooks belong to.
        scope: Beside which async hooks run where this blocks; None where the flow run never began.
        log: Returns the run's logger.
    """

    owner: Hooked
    state: State[Any]
    ask: Callable[[], ConcurrentFuture[Any]]
    read: Callable[[Any, State[Any]], Any]
    entered: Callable[[], AbstractContextManager[Any]]
    scope: FlowScope | None
    log: Callable[[], RunLogger]

    def block(self) -> None:
        """Call one after the other in this thread, async ones on an event loop beside it."""
        try:
            answer = self.ask()
            wait_told(answer)
            run = self.read(answer.result(), self.state)
        except ClearwayError as error:
            self._not_called(error)
            return
        for hook in self.owner.hooks_for(self.state):
            try:
                with unshielded(), self.entered():
                    called = hook(self.owner, run, self.state)
                    if inspect.iscoroutine(called):
                        self._block_on(called)
            except Exception:  # noqa: BLE001 - the user's
                self._raised(hook)

    async def wait(self) -> None:
        """Call one after the other, sync ones in another thread."""
        import asyncio  # noqa: PLC0415 - sync flows need no asyncio

        from clearway._engine.bridge import settled  # noqa: PLC0415

        try:
            run = self.read(await settled(self.ask()), self.state)
        except ClearwayError as error:
            self._not_called(error)
            return
        for hook in self.owner.hooks_for(self.state):
            try:
                with self.entered():
                    if inspect.iscoroutinefunction(hook):
                        await hook(self.owner, run, self.state)
                        continue
                    called = await asyncio.to_thread(hook, self.owner, run, self.state)
                    if inspect.iscoroutine(called):
                        await called
            except Exception:  # noqa: BLE001 - the user's
                self._raised(hook)

    def _block_on(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run an async hook on a loop beside the flow, since the flow's own may stand still meanwhile."""
        if self.scope is not None:
            done = self.scope.loop_thread().submit(coroutine)
            wait_told(done)
        else:
            from clearway._engine.loop_thread import LoopThread  # noqa: PLC0415 - loads asyncio

            loop_thread = LoopThread("clearway-hooks")
            done = loop_thread.submit(coroutine)
            wait_told(done)
            loop_thread.close(_CLOSE_SECONDS)
        done.result()

    def _raised(self, hook: Callable[..., Any]) -> None:
        self.log().exception(
            "the hook %s raised an exception; the run's state stays as it is: %s",
            getattr(hook, "__name__", repr(hook)),
            self.state.name,
        )

    def _not_called(self, error: ClearwayError) -> None:
        self.log().error(
            "no hooks were called for %s: the service was not to be asked: %s", self.state.name, error
        )
