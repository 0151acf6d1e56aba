"""A task run that has not ended, as far as the flow run that it belongs to has to do with it; for types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from clearway._display.subjects import DrawnTaskRun
from clearway.futures import Future

if TYPE_CHECKING:
    import asyncio


class OpenRun(DrawnTaskRun, Protocol):
    """A task run that has not ended, as far as the flow run that it belongs to has to do with it.

    Attributes:
        future: What others wait for it by.
    """

    future: Future[Any]

    @property
    def tags(self) -> frozenset[str]:
        """Its tags."""
        ...

    def needs(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Return whether an event loop has to execute or continue its code."""
        ...

    def held_up_on(self, loop: asyncio.AbstractEventLoop) -> str:
        """Return why it cannot continue while an event loop is blocked; empty if it can."""
        ...

    @property
    def run_id(self) -> str:
        """Its UUID."""
        ...

    def interrupt(self, cause: BaseException) -> None:
        """End the run wherever it is; what its code still does counts no more. Waits for nothing."""
        ...

    def lose(self, why: str) -> bool:
        """End the run, which is Crashed at the service; return whether its code was told to stop."""
        ...

    def abandon(self, why: str) -> None:
        """End the run because its flow run goes no further, unless its end was proposed."""
        ...
