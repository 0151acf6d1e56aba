"""What is said last of a flow run that is interrupted, and how long its answer is waited for."""

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
    """Wait, not for long, until what was said last is answered.

    Attributes:
        before: What has to be answered first; its callbacks may say more.
        said: What was said last.
    """

    before: list[Answered[Any]] = field(default_factory=list)
    said: list[Answered[Any]] = field(default_factory=list)

    def block(self) -> None:
        """Wait for it."""
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
        """Wait for it."""
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
    _log.warning("the service did not answer what it was told of interrupted runs")
