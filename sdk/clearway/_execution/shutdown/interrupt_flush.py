"""Waiting for the service to confirm the last proposals of an interrupted flow run."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import Any

from clearway._transport.current import hurry
from clearway._transport.decision_future import Answered
from clearway._waiting.sigint import wait_told

_SECONDS = 10.0  # the service may be what is gone

_log = logging.getLogger("clearway.engine")


@dataclass(slots=True)
class InterruptFlush:
    """Wait a limited time for the decisions on the last proposals.

    Attributes:
        before: Decisions to wait for first; their callbacks may add to ``said``.
        said: The decisions on the last proposals.
    """

    before: list[Answered[Any]] = field(default_factory=list)
    said: list[Answered[Any]] = field(default_factory=list)

    def block(self) -> None:
        """Wait in this thread."""
        deadline = time.monotonic() + _SECONDS
        for futures in (self.before, self.said):
            for future in list(futures):
                try:
                    if not wait_told(future, max(0.0, deadline - time.monotonic())):
                        _unanswered()
                        return
                except KeyboardInterrupt:
                    hurry()
                    raise

    async def wait(self) -> None:
        """Wait in this coroutine."""
        import asyncio  # noqa: PLC0415 - sync flows need no asyncio

        from clearway._waiting.loop_calls import answered  # noqa: PLC0415

        try:
            async with asyncio.timeout(_SECONDS):
                for futures in (self.before, self.said):
                    for future in list(futures):
                        await answered(future)
        except TimeoutError:
            _unanswered()


def _unanswered() -> None:
    _log.warning("the service did not confirm the end of interrupted runs in time")
