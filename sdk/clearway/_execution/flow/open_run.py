"""An open task run as its flow run sees it; for types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from clearway._display.subjects import DrawnTaskRun
from clearway.futures import Future

if TYPE_CHECKING:
    import asyncio


class OpenRun(DrawnTaskRun, Protocol):
    """A task run that has not ended, as its flow run sees it.

    Attributes:
        future: The future returned to the caller.
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
        """End the run at once, whatever its phase; the outcome of code still running is ignored."""
        ...

    def lose(self, why: str) -> bool:
        """End the run, which the service has crashed; return whether its code was told to stop."""
        ...

    def abandon(self, why: str) -> None:
        """End the run because its flow run was stopped, unless its end was proposed already."""
        ...
