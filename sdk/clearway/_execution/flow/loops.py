"""The event loops of one attempt of a flow run: the flow's own, or one in a thread beside a sync flow."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    from clearway._execution.loops import LoopThread

_CLOSE_SECONDS = 10.0


class FlowLoops:
    """The event loops for the async code of a flow run."""

    __slots__ = ("_guard", "_loop_thread", "_name", "_own")

    def __init__(self, own: asyncio.AbstractEventLoop | None, name: str, guard: Lock) -> None:
        """Start without a loop thread.

        Args:
            own: The event loop that the flow runs on; None for a sync flow.
            name: The flow run's name.
            guard: Held while the loop thread is started.
        """
        self._own = own
        self._name = name
        self._guard = guard
        self._loop_thread: LoopThread | None = None

    @property
    def is_async(self) -> bool:
        """Whether the flow is async."""
        return self._own is not None

    def event_loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop for async tasks: the flow's own, or for a sync flow that of its loop thread."""
        return self.beside().loop if self._own is None else self._own

    def beside(self) -> LoopThread:
        """Return the loop thread beside a sync flow, starting it on first use."""
        from clearway._execution.loops import LoopThread  # noqa: PLC0415 - loads asyncio

        with self._guard:
            if self._loop_thread is None:
                self._loop_thread = LoopThread(f"clearway-loop-{self._name}")
            return self._loop_thread

    def close(self) -> None:
        """Stop the loop thread, if there is one."""
        if self._loop_thread is not None:
            self._loop_thread.close(_CLOSE_SECONDS)
